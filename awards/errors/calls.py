"""How a call to another system ended that tells somebody something: a text message, a webhook."""

from awards.errors.draws import AwardsError


class CallError(AwardsError):
    """A call did not do what it was to do. The HTTP status, if one was answered, keeps failures apart.

    ``may_have_acted`` says for the desk whether the other side may have done it all the same.
    """

    may_have_acted = False

    def __init__(self, text: str, *, failure_code: int | None = None) -> None:
        super().__init__(text)
        self.failure_code = failure_code


class Unreachable(CallError):
    """The other side has taken nothing: it cannot be reached, or says that it is busy. Try later."""


class CallRefused(CallError):
    """The other side said no for good. The same call again would not help."""


class CallFailed(CallError):
    """The other side answered with an error of its own, or with nonsense. It may have acted: ask, or try again."""

    may_have_acted = True


class Unanswered(CallError):
    """The other side was sent the call and did not answer in time. It may have acted: ask, or try again."""

    may_have_acted = True


class PlacesTaken(AwardsError):
    """The other side holds all the places of this process that it may. Nothing was called; try later."""


class BadAddress(AwardsError):
    """An address must not be called. ``fault`` says why: ``malformed``, ``password``, ``plain`` or ``host``."""

    def __init__(self, fault: str, text: str) -> None:
        super().__init__(text)
        self.fault = fault
