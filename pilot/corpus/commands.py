"""Homefire's commands and how to get a real model.

Promises: each answer names the exact command; `needs` in the evaluation is that command.
Does not cover verbs added after version 0 of the pilot.
"""

from pilot.corpus.exchanges import Intent

HOWTO = (
    "(how do i|how can i|how to|how do you|what is the command to|which command do i use to|what do i type "
    "to|i want to|tell me how to|show me how to|how would i|i need to|can i|help me)"
)
IT = "(homefire|the daemon|the server|the program|it)"


def command(name: str, asks: tuple[str, ...], held: tuple[str, ...], answers: tuple[str, ...], needs: str) -> Intent:
    """An intent whose answer must hold a command."""
    return Intent(name, asks, held, answers, needs)


UP = command(
    "up",
    (
        HOWTO + " (start|run|launch|open|boot|turn on|begin with|bring up) " + IT + "( up|)?",
        "(start|run|launch|turn on) (homefire|the daemon|the server)",
        "what (does|is) `?homefire up`?( do|)?",
        HOWTO + " (start|run) homefire in the background?",
        "what is (detach|--detach)( for|)?",
        "how (do i|to) (begin|get started|start)?",
        "where do i (start|begin)?",
        "homefire is not running, what now?",
        "homefire up",
    ),
    (
        "could you explain how homefire is started?",
        "what should i type in order to launch the homefire daemon?",
        "i would like to bring homefire up",
    ),
    (
        "Type `homefire up`. It starts the daemon and prints a one-time link to the page; with `--detach` it "
        "returns when it is ready.",
        "Use `homefire up`: it starts the daemon and prints a one-time link to the page. Add `--detach` to get "
        "your terminal back when it is ready.",
    ),
    r"`homefire up",
)
DOWN = command(
    "down",
    (
        HOWTO + " (stop|end|quit|shut down|close|kill|turn off|exit|halt|terminate|switch off) " + IT + "( down|)?",
        "(stop|shut down|turn off) (homefire|the daemon|the server)",
        "what (does|is) `?homefire down`?( do|)?",
        "homefire down",
    ),
    (
        "could you explain how homefire is stopped?",
        "what should i type to shut the daemon down?",
        "i would like to turn homefire off",
    ),
    (
        "`homefire down` stops it.",
        "Type `homefire down` to stop the daemon.",
        "Use `homefire down`. It stops the daemon.",
    ),
    r"`homefire down`",
)
STATUS = command(
    "status",
    (
        HOWTO + " (see|check|know|find out) (if|whether) " + IT + " (is running|runs|works|is up|is on|is alive)?",
        "is (homefire|the daemon|the server) (running|up|on|working)?",
        "what (does|is) `?homefire status`?( do|)?",
        "(what|which) model is (loaded|in memory|active|running)( now|)?",
        "(what|where) is the address( of homefire| of the server|)?",
        "show (me |)(the |)(status|state)( of homefire|)",
        "homefire status",
        "which address does homefire use?",
    ),
    (
        "could you tell how i check that homefire is running?",
        "which command shows the status of the daemon?",
        "how do i see which model is in memory?",
    ),
    (
        "`homefire status` shows whether it runs, its address and the model in memory.",
        "Type `homefire status`: it shows whether Homefire runs, its address and the model in memory.",
    ),
    r"`homefire status`",
)
CHAT = command(
    "chat",
    (
        HOWTO + " (chat|talk|speak|converse|write) (with|to) (homefire|a model|the model|you|it) (in|from|on) (the |a |"
        "my |)(terminal|command line|shell|console)?",
        HOWTO + " (chat|talk) (in|from|on) the (terminal|command line|shell)?",
        "what (does|is) `?homefire chat`?( do|)?",
        "how do i (start a chat|start a conversation|ask a question|send one prompt|ask one prompt) (in|from) "
        "the (terminal|shell|command line)?",
        "(can i|how do i) chat without (the page|a browser|the browser)?",
        "homefire chat",
        HOWTO + " ask a single (question|prompt) from (a script|the terminal)?",
    ),
    (
        "could you explain how one talks to a model in a terminal?",
        "which command lets me chat from my shell?",
        "how may i start a conversation in the terminal?",
    ),
    (
        '`homefire chat` talks in the terminal. `homefire chat "a prompt"` answers one prompt; without a '
        "prompt it is a conversation.",
        'Type `homefire chat` for a conversation in the terminal, or `homefire chat "a prompt"` for one answer.',
    ),
    r"`homefire chat",
)
LEAVE = command(
    "leave",
    (
        HOWTO + " (leave|exit|quit|end|close|stop|get out of) (the |a |this |)(chat|conversation|terminal chat)?",
        "how do i (stop|interrupt|cut off|cancel) (the |an |this |)(answer|reply|response|output)?",
        "what does (ctrl-c|ctrl c|control c|ctrl-d|/exit) do( in the chat|)?",
        "(the answer|it) is too long, how do i stop it?",
        "how to (interrupt|cancel) an answer?",
    ),
    (
        "in the terminal, how does one leave the chat?",
        "is there a way to interrupt a long answer?",
        "how might i get out of the chat again?",
    ),
    (
        "Ctrl-C stops the answer, not the program. `/exit` or Ctrl-D leaves the chat.",
        "To leave the chat type `/exit` or press Ctrl-D. Ctrl-C only stops the answer.",
    ),
    r"`/exit`",
)
REAL = command(
    "real model",
    (
        HOWTO + " (get|install|download|find|add|use|have|fetch|set up|obtain) (a |)(real|better|bigger|larger|proper|"
        "good|smarter|stronger|full|new|other|different) (model|ai|llm|one|assistant|models)?",
        "where (do i|can i) (get|find|download) (a model|models|a better model|a real model|gguf files|real models)?",
        "(which|what) (model|models) (should|can|do|could) i (use|install|download|get|take|run|need)?",
        "(recommend|suggest) (me |)a (model|good model|better model)",
        "how big (a model|should the model be|can the model be)( for 16 gb|)?",
        "(give me|i want|i need|get me) (a |)(real|better|bigger|smarter) (model|ai|assistant)",
        "(which|what) model (fits|is good for|runs on|for) (my machine|16 gb|my computer|a laptop|this machine)?",
        "how do i replace you( with a real model|)?",
        "how can homefire (be smarter|answer more|do more)?",
        "what now?",
        "what (do i do|should i do) (next|now|first)?",
        "i just installed homefire, what (next|now)?",
        "how do i make you smarter?",
    ),
    (
        "could you explain how i obtain a real model?",
        "where would i find a better and bigger model?",
        "which model should i download for my computer?",
        "i would like to install a smarter model",
    ),
    (
        "Download a GGUF file of an instruct model with your browser, for example 4 to 8 GB for a machine with "
        "16 GB of memory, then run `homefire models import FILE.gguf`, then pick it in the page or with "
        "`homefire chat --model NAME`.",
        "Three steps: download a GGUF file of an instruct model with your browser; run `homefire models import "
        "FILE.gguf`; pick it in the page or with `homefire chat --model NAME`. With 16 GB of memory take a "
        "file of 4 to 8 GB.",
    ),
    r"`homefire models import FILE\.gguf`",
)
IMPORT = command(
    "import",
    (
        HOWTO + " (import|add|load|install|register|put in) (a |my |the |this |)(gguf file|gguf|model file|downloaded "
        "model|file|model i downloaded|downloaded gguf)?",
        "i (have|downloaded|got|found) a (gguf|gguf file|model file|model), (what now|how do i use it|what "
        "next|how do i add it)?",
        "what (does|is) `?homefire models import`?( do|)?",
        "what is (a gguf|gguf|a gguf file)?",
        "where do i put the (gguf|gguf file|model file|model|file)?",
        "homefire models import",
    ),
    (
        "there is a gguf file on my disk, how do i add it?",
        "could you explain how to import my downloaded gguf file?",
        "which command imports a model file?",
    ),
    (
        "`homefire models import FILE.gguf` adds a GGUF file you have downloaded. Then pick it in the page or "
        "with `homefire chat --model NAME`.",
        "Run `homefire models import FILE.gguf` with the path of your file. Then use it with `homefire chat "
        "--model NAME` or pick it in the page.",
    ),
    r"`homefire models import FILE\.gguf`",
)
LIST = command(
    "list models",
    (
        HOWTO
        + " (list|see|show|view) (the |all |my |all the |)(models|installed models|models i have|models installed)?",
        "(which|what) models (are installed|do i have|are there|are available|are here)?",
        "(list|show|show me) (the |all |my |)(models|installed models)",
        "what (does|is) `?homefire models`?( do|)?",
        "homefire models",
    ),
    (
        "could you tell me how i view every installed model?",
        "which command prints a list of my models?",
        "what models have i got installed?",
    ),
    ("`homefire models` lists the installed models.", "Type `homefire models`. It lists what is installed."),
    r"`homefire models`",
)
PICK = command(
    "pick",
    (
        HOWTO + " (pick|choose|select|switch|change|switch to|change to) (a |the |another |my |between |)(model|models|"
        "different model|other model)?",
        HOWTO + " (use|chat with|talk to) (another|a different|a certain|my imported|a chosen|the imported) model?",
        "what (does|is) `?--model`?( do| for|)?",
    ),
    (
        "could you explain how i switch to another model?",
        "in which way do i choose the model?",
        "how might i select some different model?",
    ),
    (
        "Pick it in the page, or use `homefire chat --model NAME`. `homefire models` lists the names.",
        "In the page there is a list to pick from; in the terminal use `homefire chat --model NAME`.",
    ),
    r"`homefire chat --model NAME`",
)
REMOVE = command(
    "remove model",
    (
        HOWTO + " (remove|delete|uninstall|get rid of|erase|drop) (a |my |the |an old |this |)(model|models|installed "
        "model|old model)?",
        "(delete|remove|uninstall) (a|my|the|this) model",
        "what (does|is) `?homefire models remove`?( do|)?",
        "the disk is full of models, how do i delete one?",
        "homefire models remove",
    ),
    (
        "could you explain how an old model is deleted?",
        "which command removes a model from my disk?",
        "how might i uninstall one of my models?",
    ),
    (
        "`homefire models remove NAME` removes a model.",
        "Use `homefire models remove NAME`; `homefire models` shows the names.",
    ),
    r"`homefire models remove NAME`",
)
KEY_ADD = command(
    "add key",
    (
        HOWTO
        + " (make|add|create|get|generate|have|issue) (a |an |a new |another |)(key|api key|keys|access key|token)?",
        "(make|create|give me|add) (a|an|a new) (key|api key)",
        "what (does|is) `?homefire key add`?( do|)?",
        "(where|how) (is|do i find|do i get) (my|the|an) (api key|key)?",
        "i (lost|forgot) my (api |)key",
        "homefire key add",
    ),
    (
        "could you explain how a new api key is made?",
        "which command creates a key for my program?",
        "where would i get an api key?",
    ),
    (
        "`homefire key add NAME` makes a key and prints it once.",
        "Run `homefire key add NAME`. It prints the new key once, so keep it.",
    ),
    r"`homefire key add NAME`",
)
KEY_SHOW = command(
    "show keys",
    (
        HOWTO + " (list|see|show|view|check) (the |all |my |all the |)(keys|api keys|names of keys|key names|existing "
        "keys)?",
        "(which|what) (api |)keys (are there|do i have|exist)?",
        "(list|show|show me) (the|all|my) (api |)keys",
        "what (does|is) `?homefire key show`?( do|)?",
        "homefire key show",
    ),
    (
        "could you tell me how i view every api key?",
        "which command prints the names of my keys?",
        "what keys have i got?",
    ),
    (
        "`homefire key show` lists the names of the keys, not the keys themselves.",
        "Type `homefire key show`: it lists the names of keys.",
    ),
    r"`homefire key show`",
)
KEY_END = command(
    "revoke key",
    (
        HOWTO + " (revoke|remove|delete|end|cancel|disable|invalidate|get rid of|block) (a |an |my |the |an old |)(key|"
        "api key|access key|stolen key)?",
        "(revoke|delete|remove|cancel) (a|my|the|an) (api |)key",
        "what (does|is) `?homefire key revoke`?( do|)?",
        "my (api |)key (was stolen|leaked|is stolen|got out)(, what now|)?",
        "someone (has|stole|knows) my (api |)key",
        "homefire key revoke",
    ),
    (
        "could you explain how an old api key is revoked?",
        "which command ends a key?",
        "my key has leaked, how do i disable it?",
    ),
    ("`homefire key revoke NAME` ends a key.", "Run `homefire key revoke NAME`. That key stops working."),
    r"`homefire key revoke NAME`",
)
DOCTOR = command(
    "doctor",
    (
        "(something|it|homefire|this|the daemon) (is broken|does not work|is wrong|doesn t work|fails|crashed|"
        "is not working|does not start|won t start|hangs|is slow|has a problem)",
        "(i get|i have|i see|there is) (an error|a problem|an issue|a failure)( with homefire|)",
        HOWTO + " (fix|debug|repair|diagnose|solve|troubleshoot) (homefire|it|this|a problem|an error|the problem|"
        "problems|problems with homefire)?",
        "what (does|is) `?homefire doctor`?( do|)?",
        "(what is|what s) wrong (here|with homefire|with my machine)?",
        "why (does|is) (homefire|it) (not work|not start|slow|broken|not working|failing)?",
        "homefire doctor",
        "how do i check my (installation|setup|install)?",
    ),
    (
        "homefire seems to be broken, what should i do?",
        "which command helps to diagnose a problem?",
        "there is an error and the daemon will not start",
    ),
    (
        "Run `homefire doctor`: it says what is wrong here and what to do.",
        "`homefire doctor` says what is wrong and what to do about it.",
    ),
    r"`homefire doctor`",
)
LINK = command(
    "link",
    (
        HOWTO + " (open|see|reach|get to|go to|visit|find|use) the (page|web page|website|browser page|web interface|"
        "ui|web ui|app)?",
        HOWTO + " (get|print|make|see) (a |the |a new |another |a fresh |)(link|one-time link|login link|url)?",
        "(the|my) link (expired|does not work|is gone|is used|is old|was used)",
        "i (lost|need|closed|forgot) (the|a) (link|page|url)",
        "what (does|is) `?homefire link`?( do|)?",
        "where is the (page|web page|link|interface|website)?",
        "homefire link",
        "(is there|do you have) a (web page|gui|web interface|page)?",
        "how do i (log in|sign in|login)( to the page|)?",
    ),
    (
        "my one-time link has expired, how do i get a fresh one?",
        "which command opens the web page?",
        "could you explain how i reach the page in a browser?",
    ),
    (
        "`homefire link` prints a fresh one-time link to the page. Open it in your browser.",
        "Type `homefire link` and open the one-time link it prints in your browser.",
    ),
    r"`homefire link`",
)
BENCH = command(
    "bench",
    (
        HOWTO + " (measure|benchmark|test|time|check) (the |how |)(speed|performance|fast it is|fast my machine is|"
        "tokens per second|speed of homefire)?",
        "(run|start) (a|the) benchmark",
        "how fast is (homefire|my machine|this|it)?",
        "what (does|is) `?homefire bench`?( do|)?",
        "homefire bench",
        "are there benchmarks?",
    ),
    (
        "could you explain how i measure performance?",
        "which command runs a benchmark?",
        "how do i test the speed here?",
    ),
    (
        "`homefire bench NAME` measures; add `--json` for a machine to read.",
        "Use `homefire bench NAME`. It measures and prints the figures.",
    ),
    r"`homefire bench NAME`",
)
JSON = command(
    "json flag",
    (
        HOWTO + " (get|print|have|read|use) (json|json output|output as json|the output in json|machine readable "
        "output)( from homefire| from the commands| from a command|)?",
        "what (does|is) `?--json`?( do| for|)?",
        "do the (commands|verbs) (print|give|support|have|output) json?",
        HOWTO + " use homefire (in|from) (a script|scripts)?",
        "can (scripts|a program|a script) read the output?",
    ),
    ("do the verbs support json output?", "which flag makes the commands print json?"),
    ("Every verb takes `--json`.", "Add `--json`: every verb of `homefire` takes it."),
    r"`--json`",
)
HOME = command(
    "home",
    (
        "where (does|is) homefire (keep|store|put|save|hold) (its |the |my |)(data|state|files|models|chats|"
        "everything|settings)?",
        "where (are|is) (my |the |)(data|files|models|chats|state|settings|models stored|chats stored|chats "
        "kept)( kept| stored| saved|)?",
        HOWTO + " (move|change|relocate|set) (the |all |)(state|data folder|data|folder|home|storage|data directory)( "
        "of homefire| to another disk|)?",
        "what (does|is) `?HOMEFIRE_HOME`?( do| for|)?",
        HOWTO + " (store|keep|put) (models|the data|everything) on another (disk|drive)?",
    ),
    (
        "could you tell me how i move all data to another drive?",
        "which variable sets the folder for homefire's state?",
        "where are all my chats stored?",
    ),
    (
        "Set `HOMEFIRE_HOME` to a folder: it moves all state there.",
        "All state lives in one folder; the variable `HOMEFIRE_HOME` moves it.",
    ),
    r"HOMEFIRE_HOME",
)
PORT = command(
    "port",
    (
        "(which|what) port( does homefire use| is used| is it| does it use| does it listen on|)?",
        HOWTO + " (change|set|use|pick) (the |a different |another |a |)port( of homefire|)?",
        "what (does|is) `?HOMEFIRE_PORT`?( do| for|)?",
        "(the |)port (7373 |)is (taken|in use|already in use|busy|used)",
        "is 7373 the port?",
        "the address is already in use",
    ),
    (
        "could you tell me how i use another port number?",
        "on which port does homefire listen?",
        "port 7373 is busy, what now?",
    ),
    (
        "The port is 7373; the variable `HOMEFIRE_PORT` changes it.",
        "Homefire uses port 7373. Set `HOMEFIRE_PORT` to change it.",
    ),
    r"HOMEFIRE_PORT",
)
API = command(
    "api",
    (
        HOWTO + " (use|connect|call|reach|access) (the |an |homefire from |homefire with |)(api|openai client|openai "
        "library|openai sdk|another program|my app|other programs|my code|rest api)( with homefire| to "
        "homefire|)?",
        "(is there|do you have|does homefire have) (an|a) (api|rest api|openai api|http api|endpoint)?",
        "what is the (base url|url|endpoint|api address|api url|api)( of homefire| of the api|)?",
        "is homefire (openai compatible|compatible with openai|compatible with the openai api)?",
        "can i use (homefire|it) (with|from) (my app|the openai client|the openai library|another program|vs "
        "code|other tools)?",
        "which base url( do i use|)?",
    ),
    (
        "could you explain how my own program connects to the api?",
        "which base url do i give to an openai client?",
        "does homefire offer an openai compatible api?",
    ),
    (
        "Any OpenAI client works with the base URL http://127.0.0.1:7373/v1 and a key. `homefire key add NAME` "
        "makes a key.",
        "Use the base URL http://127.0.0.1:7373/v1 with any OpenAI client, and a key from `homefire key add NAME`.",
    ),
    r"http://127\.0\.0\.1:7373/v1",
)
MAKE = command(
    "make",
    (
        HOWTO + " (install|build|set up|run|start) homefire( from source| from a checkout| from the code| from the "
        "repository)?",
        HOWTO + " run the tests?",
        "what (does|do) `?make (run|test)`?( do|)?",
        HOWTO + " (test|develop|contribute to) homefire?",
        "how is homefire installed?",
        "make (run|test)",
    ),
    ("could you explain how homefire is installed from its source?", "which command runs all tests?"),
    (
        "`make run` installs and starts Homefire; `make test` runs the tests.",
        "In a checkout type `make run` to install and start, and `make test` to run the tests.",
    ),
    r"`make (run|test)`",
)
ALL = command(
    "all commands",
    (
        "(what|which) commands (are there|do you have|exist|does homefire have|can i use|can i type|do i need)?",
        "(list|show|show me|tell me|give me) (the |all |all the |homefire's |)(commands|verbs)( of homefire|)",
        "how do i use (homefire|this|it)?",
        "(commands|usage|manual|help with commands|homefire help|homefire --help)",
        "explain (the |)(commands|command line|usage)",
        "what can i type?",
        "how does (the command line|this) work?",
    ),
    ("could you list every command of homefire?", "give an overview of the commands", "what commands do i have?"),
    (
        "`homefire up` starts it, `homefire down` stops it, `homefire status` shows how it is, `homefire chat` "
        "talks, `homefire models` lists models, `homefire key` keeps keys, `homefire link` prints a link and "
        "`homefire doctor` finds faults.",
    ),
    r"`homefire up`.*`homefire doctor`",
)

INTENTS = (
    UP,
    DOWN,
    STATUS,
    CHAT,
    LEAVE,
    REAL,
    IMPORT,
    LIST,
    PICK,
    REMOVE,
    KEY_ADD,
    KEY_SHOW,
    KEY_END,
    DOCTOR,
    LINK,
    BENCH,
    JSON,
    HOME,
    PORT,
    API,
    MAKE,
    ALL,
)
