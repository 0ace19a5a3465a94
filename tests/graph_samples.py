"""Notifications and pages as Microsoft's documentation of Graph shows them, with a user in the place of a message."""

from typing import Final

STATE: Final = "secretClientValue"
USER: Final = "86462606-fde0-4fc4-9e0c-a20eb73e54c6"

CHANGED: Final = b"""{
  "value": [
    {
      "id": "lsgTZMr9KwAAA",
      "subscriptionId":"7f105c7d-2dc5-4530-97cd-4e7ae6534c07",
      "subscriptionExpirationDateTime":"2016-03-19T22:11:09.952Z",
      "clientState":"secretClientValue",
      "changeType":"updated",
      "resource":"Users/86462606-fde0-4fc4-9e0c-a20eb73e54c6",
      "tenantId": "84bd8158-6d4d-4958-8b9f-9d6445542f95",
      "resourceData":
      {
        "@odata.type":"#Microsoft.Graph.User",
        "@odata.id":"Users/86462606-fde0-4fc4-9e0c-a20eb73e54c6",
        "id":"86462606-fde0-4fc4-9e0c-a20eb73e54c6"
      }
    }
  ]
}
"""

LIFECYCLE: Final = b"""{
  "value": [
    {
      "subscriptionId":"7f105c7d-2dc5-4530-97cd-4e7ae6534c07",
      "subscriptionExpirationDateTime":"2019-03-20T11:00:00.0000000Z",
      "tenantId": "84bd8158-6d4d-4958-8b9f-9d6445542f95",
      "clientState":"secretClientValue",
      "lifecycleEvent": "reauthorizationRequired"
    }
  ]
}
"""
