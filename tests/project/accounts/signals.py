from django.conf import settings
from django.db.models.signals import post_save
from django.dispatch import receiver

from .models import Customer


@receiver(post_save, sender=settings.AUTH_USER_MODEL)
def add_customer(sender, instance, created, raw, **kwargs):
    if created and not raw:
        Customer.objects.get_or_create(user=instance)
