"""Events of Keycloak as its extensions write them: their documentation's samples with ids for what it leaves out."""

import json
from typing import Any, Final

REALM: Final = "7a11ef96-d5ef-4bfe-beb8-a5d81f9de464"  # the id of the realm `acme`
USER: Final = "32b1d12a-f100-4890-8113-161c80bd2adb"

# An administrator's update as the extension for RabbitMQ publishes it, indented by two blanks with ` : `.
PUBLISHED: Final = """{
  "@class" : "com.github.aznamier.keycloak.event.provider.EventAdminNotificationMqMsg",
  "time" : 1596951200408,
  "realmId" : "acme",
  "authDetails" : {
    "realmId" : "master",
    "clientId" : "14af8af8-2cb8-4101-aace-aeecac5f87ff",
    "userId" : "06ecb7ee-b62f-4413-b141-bcf8fa941599",
    "ipAddress" : "192.168.1.1"
  },
  "resourceType" : "USER",
  "operationType" : "UPDATE",
  "resourcePath" : "users/32b1d12a-f100-4890-8113-161c80bd2adb",
  "representation" : "{\\"username\\":\\"ada\\",\\"enabled\\":false,\\"emailVerified\\":false,\\"attributes\\":{}}",
  "error" : null,
  "resourceTypeAsString" : "USER"
}"""

# A user's logout as a webhook brings it.
LOGGED_OUT: Final = {
    "time": 1711651627565,
    "realmId": REALM,
    "uid": "d2e0fe26-f8e6-4012-b22f-87f989c3c9e7",
    "authDetails": {
        "realmId": "acme",
        "clientId": "crm",
        "userId": USER,
        "ipAddress": "111.11.111.11",
        "username": "ada@example.com",
        "sessionId": "3cd8d025-d5d4-4ff2-82d3-a9c552ba422c",
    },
    "type": "access.LOGOUT",
    "details": {"redirect_uri": "https://crm.example.com/"},
}


def updated(**members: Any) -> dict[str, Any]:
    """The same update as a webhook brings it, with other *members*."""
    whole = json.loads(PUBLISHED)
    del whole["@class"]
    extended = {"type": "admin.USER-UPDATE", "uid": "cb444835-f5c3-4666-8a6f-1adfa6c0391d", "realmName": "acme"}
    return {**whole, **extended, "realmId": REALM, "details": {"userId": USER, "username": "ada"}, **members}
