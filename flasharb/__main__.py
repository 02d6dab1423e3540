"""``python -m flasharb``."""

import signal

# Until there is somebody to tell, Ctrl-C ends the imports silently instead of with their traceback.
signal.signal(signal.SIGINT, signal.SIG_DFL)

from flasharb.cli.main import main  # noqa: E402 - see above

if __name__ == "__main__":
    main()
