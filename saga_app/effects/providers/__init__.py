"""The adapters to providers; each is a `saga_app.effects.ports.Provider`. Only the application imports them."""
