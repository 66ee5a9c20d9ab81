"""What the shop knows of a person beyond the login."""
from django.conf import settings
from django.db import models


class Customer(models.Model):
    user = models.OneToOneField(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="customer")
    city = models.CharField(max_length=80, blank=True)
    wants_news = models.BooleanField("wants news", default=False)

    def __str__(self):
        return self.user.get_username()
