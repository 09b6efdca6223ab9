"""The providers that `SAGA_PROVIDERS` names: each is made by its factory, from options of its own."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any, Final

from saga_app.core.records import StepName
from saga_app.effects.limited import Limited
from saga_app.effects.ports import Provider
from saga_app.secret_values import secret_in
from saga_app.settings import Settings, SettingsError

#: Behind the name of a setting: the name of the setting with the file that holds a secret.
FILE: Final = "_FILE"


@dataclass(frozen=True)
class ProviderOptions:
    """The options of one provider: `SAGA_PROVIDER_NAME_OPTION` in the environment, as in `SAGA_PROVIDER_STRIPE_KEY`."""

    name: str
    app_id: str
    #: Seconds that one call may take: requests in it must end before.
    timeout: float
    environment: Mapping[str, str] = field(default_factory=lambda: os.environ, repr=False)

    def setting(self, option: str) -> str:
        """The name of the setting of an option."""
        return f"SAGA_PROVIDER_{self.name}_{option}".upper()

    def get(self, option: str, default: str = "") -> str:
        """The option, or the default."""
        return self.environment.get(self.setting(option), "").strip() or default

    def secret(self, option: str) -> str:
        """The option, from the environment or from the file that the setting with `_FILE` names; empty without both.

        `SettingsError` if both are set, or the file cannot be read.
        """
        setting = self.setting(option)
        text, file = self.get(option), self.environment.get(setting + FILE, "").strip()
        if text and file:
            raise SettingsError(f"{setting} and {setting}{FILE} are set, and only one of them may be")
        return secret_in(setting + FILE, file) if file else text


Factory = Callable[[ProviderOptions], Provider]


def configured(settings: Settings, environment: Mapping[str, str] = os.environ) -> dict[str, Provider]:
    """The providers by name, each call limited in time; nothing is connected. `SettingsError` names what is wrong."""
    found: dict[str, Provider] = {}
    for name, place in settings.provider_factories.items():
        options = ProviderOptions(name, settings.app_id, settings.provider_timeout, environment)
        steps = _steps(options)
        found[name] = Limited(_factory(name, place)(options), settings.provider_timeout, steps)
    return found


def inner(provider: Provider) -> Any:
    """The provider itself, without the limit of time around it."""
    return getattr(provider, "provider", provider)


async def close(provider: Provider) -> None:
    """Gives up its connections, if it has any; it is not asked any more."""
    ending = getattr(inner(provider), "close", None)
    if ending is not None:
        await ending()


def _steps(options: ProviderOptions) -> list[StepName]:
    """The steps that a provider may be asked for; all, if none is named."""
    names = [each.strip() for each in options.get("STEPS").split(",") if each.strip()]
    try:
        return [StepName(each) for each in names]
    except ValueError as error:
        raise SettingsError(f"{options.setting('STEPS')}: {error}; it is steps with commas between") from None


def _factory(name: str, place: str) -> Factory:
    module, _, attribute = place.partition(":")
    try:
        found: Factory = getattr(import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise SettingsError(
            f"SAGA_PROVIDERS: the factory of {name}, {place}, is not there: {error}"
        ) from error
    return found
