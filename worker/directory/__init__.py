"""Directory servers, as python-ldap reaches them."""

import os

# Else libldap reads ldap.conf, ~/.ldaprc and variables, by which a certificate may go unchecked (ldap.conf(5)). It does
# so with the first call, so this stands before any import of it.
os.environ["LDAPNOINIT"] = "1"
