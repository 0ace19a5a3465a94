"""Log events and a delivery as Okta's developer documentation shows them, to the byte."""

from typing import Final

# developer.okta.com, guides, "Event hook implementation": the object of a deactivation.
DEACTIVATED: Final = b"""{
        "actor": {
            "id": "00u2di94bAMSEPvAY1d6",
            "type": "User",
            "alternateId": "okta.trainer@okta.com",
            "displayName": "Okta Trainer",
            "detailEntry": null
        },
        "client": {
            "userAgent": {
                "rawUserAgent": "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/86.0.4240.198 Safari/537.36",
                "os": "Mac OS X",
                "browser": "CHROME"
            },
            "zone": "null",
            "device": "Computer",
            "id": null,
            "ipAddress": "174.89.174.56",
            "geographicalContext": {
                "city": "Toronto",
                "state": "Ontario",
                "country": "Canada",
                "postalCode": "M6B",
                "geolocation": {
                    "lat": 43.7114,
                    "lon": -79.4462
                }
            }
        },
        "authenticationContext": {
            "authenticationProvider": null,
            "credentialProvider": null,
            "credentialType": null,
            "issuer": null,
            "interface": null,
            "authenticationStep": 0,
            "externalSessionId": "102lMcfHbwSTuS5V1oPHJs3lw"
        },
        "displayMessage": "Deactivate Okta User",
        "eventType": "user.lifecycle.deactivate",
        "outcome": {
            "result": "SUCCESS",
            "reason": null
        },
        "published": "2020-11-16T18:15:12.862Z",
        "securityContext": {
            "asNumber": 577,
            "asOrg": "example",
            "isp": "exampleISP",
            "domain": "example.com",
            "isProxy": false
        },
        "severity": "INFO",
        "debugContext": {
            "debugData": {
                "requestId": "X7LBsMxeqO-ADcGcmp0WGQAAB@g",
                "requestUri": "/admin/user/deactivate/00u3m90rxKjGQ0G6L1d6",
                "threatSuspected": "false",
                "url": "/admin/user/deactivate/00u3m90rxKjGQ0G6L1d6?"
            }
        },
        "legacyEventType": "core.user.config.user_deactivated",
        "transaction": {
            "type": "WEB",
            "id": "X7LBsMxeqO-ADcGcmp0WGQAAB@g",
            "detail": {}
        },
        "uuid": "ab62c0bc-2837-11eb-9823-9fb8f750c5a9",
        "version": "0",
        "request": {
            "ipChain": [
                {
                    "ip": "174.89.174.56",
                    "geographicalContext": {
                        "city": "Toronto",
                        "state": "Ontario",
                        "country": "Canada",
                        "postalCode": "M6B",
                        "geolocation": {
                            "lat": 43.7114,
                            "lon": -79.4462
                        }
                    },
                    "version": "V4",
                    "source": null
                }
            ]
        },
        "target": [
            {
                "id": "00u3m90rxKjGQ0G6L1d6",
                "type": "User",
                "alternateId": "john.doe@example.com",
                "displayName": "John Doe",
                "detailEntry": null
            }
        ]
    }
"""  # noqa: E501 - as it is written there

# developer.okta.com, concepts, "Event hooks": the sample delivery.
DELIVERY: Final = b"""{
  "eventType": "com.okta.event_hook",
  "eventTypeVersion": "1.0",
  "cloudEventsVersion": "0.1",
  "contentType": "application/json",
  "eventId": "b5a188b9-5ece-4636-b041-482ffda96311",
  "eventTime": "2019-03-27T16:59:53.032Z",
  "source": "https://{yourOktaDomain}/api/v1/eventHooks/whoql0HfiLGPWc8Jx0g3",
  "data": {
    "events": [
      {
        "version": "0",
        "severity": "INFO",
        "client": {
          "zone": "OFF_NETWORK",
          "device": "Unknown",
          "userAgent": {
            "os": "Unknown",
            "browser": "UNKNOWN",
            "rawUserAgent": "UNKNOWN-DOWNLOAD"
          },
          "ipAddress": "12.97.85.90"
        },
        "actor": {
          "id": "00u1qw6mqitPHM8AJ0g7",
          "type": "User",
          "alternateId": "admin@example.com",
          "displayName": "Example Admin"
        },
        "outcome": {
          "result": "SUCCESS"
        },
        "uuid": "f790999f-fe87-467a-9880-6982a583986c",
        "published": "2018-03-28T22:23:07.777Z",
        "eventType": "user.session.start",
        "displayMessage": "User login to Okta",
        "transaction": {
          "type": "WEB",
          "id": "V04Oy4ubUOc5UuG6s9DyNQAABtc"
        },
        "legacyEventType": "core.user_auth.login_success",
        "authenticationContext": {
          "authenticationStep": 0,
          "externalSessionId": "1013FfF-DKQSvCI4RVXChzX-w"
        }
      }
    ]
  }
}
"""

# The same log event as the end of that session: its `target` may be null.
SESSION_ENDED: Final = b"""{
        "version": "0",
        "severity": "INFO",
        "actor": {
          "id": "00u1qw6mqitPHM8AJ0g7",
          "type": "User",
          "alternateId": "admin@example.com",
          "displayName": "Example Admin"
        },
        "outcome": {
          "result": "SUCCESS"
        },
        "uuid": "0c0b9a3e-2f6e-11eb-8d5c-bdc5bb1c35f7",
        "published": "2018-03-28T23:23:07.777Z",
        "eventType": "user.session.end",
        "displayMessage": "User logout from Okta",
        "legacyEventType": "core.user_auth.logout_success",
        "authenticationContext": {
          "authenticationStep": 0,
          "externalSessionId": "1013FfF-DKQSvCI4RVXChzX-w"
        },
        "target": null
      }
"""
