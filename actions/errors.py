"""Every error that foveate raises on purpose.

::

    FoveateError
    ├─ ActionError
    │  ├─ ParseError         the model's text is no action
    │  ├─ OutOfFrame         a coordinate lies outside the frame that it refers to
    │  └─ UnsupportedAction  this adapter cannot do that kind of action
    ├─ EnvError
    │  ├─ ResetNeeded        a step after the end, or before the first reset
    │  ├─ EnvClosed          the environment is not open
    │  ├─ CaptureFailed      the world gave no picture
    │  ├─ NavigationFailed   the address did not load
    │  ├─ BrowserCrashed     the browser or its renderer died
    │  └─ SimulatorCrashed   the simulator died
    ├─ PolicyError
    │  ├─ ModelUnavailable   no model can be reached or loaded
    │  ├─ ModelTimeout       the model did not answer in time
    │  └─ CheckpointError    a checkpoint is broken, foreign or does not fit
    ├─ RecordError           the record cannot be written or read
    ├─ TrainingError         training cannot go on: its numbers, its processes or its state
    ├─ UsageError            a flag, a file or a value from the user is wrong
    ├─ WrongLoop             an object opened in one event loop was used in another
    ├─ InUse                 an agent, environment or policy is busy with another run
    └─ MissingDependency     an optional part is not installed
"""

from typing import Any


class FoveateError(Exception):
    """Base of every error that foveate raises on purpose.

    Attributes:
        result: The Result of the episode that this error ended, attached by the Agent; None elsewhere.
    """

    result: Any = None


class ActionError(FoveateError):
    """An action that cannot be read or done."""


class _AnswerError(ActionError):
    """An answer that a policy cannot use.

    Attributes:
        decision: The Decision without actions (raw text, usage) that a policy attaches before it lets the error
            pass, so that a record keeps what the model said; None where no policy was involved.
    """

    decision: Any = None


class ParseError(_AnswerError):
    """Raised when a model's text is no action; the message says what was expected."""


class OutOfFrame(_AnswerError):
    """Raised when a coordinate lies outside its frame; the message names the value and the limit."""


class UnsupportedAction(ActionError):
    """Raised by ``Adapter.apply`` alone, when its world cannot do that kind of action."""


class EnvError(FoveateError):
    """The world cannot be observed or acted on."""


class ResetNeeded(EnvError):
    """Raised when an environment is stepped before its first reset or after its episode has ended."""


class EnvClosed(EnvError):
    """Raised when an environment is used while it is not open."""


class CaptureFailed(EnvError):
    """Raised when the world gives no picture within the time it has."""


class NavigationFailed(EnvError):
    """Raised when the start address does not load; the message names the address and the reason."""


class BrowserCrashed(EnvError):
    """Raised when the browser or the page's renderer died; the environment can be reset after it."""


class SimulatorCrashed(EnvError):
    """Raised when the simulator process died; the environment can be reset after it."""


class PolicyError(FoveateError):
    """The policy or the model behind it failed."""


class ModelUnavailable(PolicyError):
    """Raised when no model can be reached or loaded under the name given."""


class ModelTimeout(PolicyError):
    """Raised when the model did not answer within its time limit."""


class CheckpointError(PolicyError):
    """Raised when a checkpoint is truncated, foreign or does not fit its own configuration."""


class RecordError(FoveateError):
    """Raised when a record cannot be written (full disk, folder in use) or read."""


class TrainingError(FoveateError):
    """Raised when training cannot go on: a gradient that is not finite, a state that cannot be saved or read."""


class UsageError(FoveateError):
    """Raised when a flag, a file or another value from the user is wrong; the message names it and the remedy."""


class WrongLoop(FoveateError):
    """Raised when an object that was opened in one event loop is used in another."""


class InUse(FoveateError):
    """Raised when a run asks for an agent, an environment or a policy that another run is using; that one goes on."""


class MissingDependency(FoveateError):
    """Raised when an optional part is not installed; the message holds the command that installs it."""

    def __init__(self, what: str, remedy: str) -> None:
        super().__init__(f"{what} needs: {remedy}")
        self.what = what
        self.remedy = remedy

    def __reduce__(self) -> tuple[type["MissingDependency"], tuple[str, str]]:
        """Let it cross from one process to another."""
        return type(self), (self.what, self.remedy)


def first_line(error: BaseException, most: int = 300) -> str:
    """Give the first line of what a foreign error says, of ``most`` characters; its class where it says nothing."""
    return (str(error).strip() or type(error).__name__).splitlines()[0][:most]
