"""Homefire's commands and how to get a real model: one fixed answer a question, asked in many ways.

Promises: each answer names the exact command and `needs` in the evaluation is that command; a held ask is a new sentence of words
that asks have too. Does not cover the answers of the daemon itself, nor verbs added after this version of the pilot.
"""

from pilot.corpus.exchanges import Intent

IT = "(homefire|the daemon|the server)"
ACTIVE_ONLY = ("get", "go")  # "a key is got" is not what people say
ODD = {
    "run": ("run", "running"), "shut": ("shut", "shutting"), "stop": ("stopped", "stopping"), "begin": ("begun", "beginning"),
    "bring": ("brought", "bringing"), "put": ("put", "putting"), "see": ("seen", "seeing"),
    "find": ("found", "finding"), "make": ("made", "making"), "choose": ("chosen", "choosing"), "set": ("set", "setting"),
    "hold": ("held", "holding"), "leave": ("left", "leaving"), "keep": ("kept", "keeping"), "read": ("read", "reading"),
    "quit": ("quit", "quitting"), "drop": ("dropped", "dropping"), "pick": ("picked", "picking"), "plug": ("plugged", "plugging"),
    "cut": ("cut", "cutting"), "cancel": ("cancelled", "cancelling"),
}  # fmt: skip


def forms(verb: str) -> tuple[str, str, str]:
    """Of a verb, perhaps with a particle: "turned off", "turning off", "turns off"."""
    head, _, tail = verb.partition(" ")
    done, doing = ODD.get(head) or (
        (head + "d", head[:-1] + "ing") if head.endswith("e") else (head + "ed", head + "ing")
    )
    does = head + ("es" if head.endswith(("sh", "ch", "x", "ss")) else "s")
    return tuple(f"{form} {tail}".strip() for form in (done, doing, does))  # type: ignore[return-value]


def deed(verbs: str, thing: str, be: str) -> dict[str, str]:
    """Patterns of doing something to a thing, or to things (`be`: are): `verbs` are joined by bars."""
    names = verbs.split("|")
    able = [name for name in names if name.split()[0] not in ACTIVE_ONLY]
    done, doing, does = ("(" + "|".join(column) + ")" for column in zip(*map(forms, able), strict=True))
    apart = [name.rpartition(" ") for name in names if name.split()[-1] in ("on", "off", "up", "down")]
    split = "".join(f"|{head} {thing} {particle}" for head, _, particle in apart)
    return {
        "do": f"(({verbs}) {thing}{split})",
        "done": f"{thing} {be} {done}",
        "is_done": f"{be} {thing} {done}",
        "be_done": f"{thing} be {done}",
        "doing": f"{doing} {thing}",
        "does": f"{does} {thing}",
    }


def ways(verbs: str, thing: str, be: str = "is") -> tuple[str, ...]:
    """Ways to ask how something is done: questions, orders, wishes; active and passive."""
    text = deed(verbs, thing, be)
    patterns = (
        "how (do i|can i|do you|would i|could i|should i|does one|do we) {do}?",
        "how to {do}(?|)",
        "what is the (command|way) to {do}?",
        "which command (do i use|do i need|should i type|must i use) to {do}?",
        "what (do i|should i|must i|would i) (type|do) to {do}?",
        "(tell me|show me|explain|explain to me) how (to|i) {do}",
        "(can|could|would) you (explain|show me|say) how to {do}?",
        "(i want|i need|i would like|i wish|help me) to {do}",
        "(can i|let me|is there a way to|is it possible to|can you) {do}(?|)",
        "how {is_done}?",
        "(tell me|explain|say|i want to know) how {done}",
        "how (can|could|should) {be_done}?",
        "(what|which command|which of the commands) {does}?",
        "(what about|help with|i have a question about) {doing}(?|)",
        "in order to {do}, what do i (type|do|use)?",
        "(what is used|which command is|which command is used) for {doing}?",
        "{do}( please|)",
    )
    return tuple(fill(pattern, text) for pattern in patterns)


def ways_held(verbs: str, thing: str, be: str = "is") -> tuple[str, ...]:
    """Other frames of the same words, for the evaluation."""
    text = deed(verbs, thing, be)
    patterns = (
        "would you please tell me how {done}?",
        "which command should one use for {doing}?",
        "please explain to me the way to {do}",
    )
    return tuple(fill(pattern, text) for pattern in patterns)


def fill(pattern: str, text: dict[str, str]) -> str:
    for name, value in text.items():
        pattern = pattern.replace("{" + name + "}", value)
    return pattern


UP = Intent(
    "up",
    (
        *ways("start|run|launch|open|boot|turn on|bring up|start up", "(homefire|the daemon|the server)"),
        "what (does (`homefire up`|homefire up) do|is (`homefire up`|homefire up))?",
        "what is (detach|--detach)( for|)?",
        "how (do i|to) (begin|get started|start)?",
        "where do i (start|begin)?",
        "homefire is not running, what now?",
        "homefire up",
        "i (would like|need) to (start|launch|run|bring up) (homefire|the daemon) (again|now|in the background)",
        "how is (homefire|the daemon) (started|launched|run) (again|in the background)?",
        "(how|where) does (homefire|the daemon) (start|begin)?",
        "(homefire|the daemon) is (off|down|stopped)(, how do i start it|, what now|)?",
        "start (it|homefire) (again|up)",
        "how do i get homefire (up|running|going)?",
    ),
    (
        "could you explain how homefire is started?",
        "what should i type in order to launch the homefire daemon?",
        "how might i bring the daemon up again?",
        *ways_held("start|run|launch|open|boot|turn on|bring up|start up", "(homefire|the daemon|the server)"),
    ),
    (
        "Type `homefire up`: it starts the daemon and prints a one-time link to the page; with "
        "`--detach` it returns when it is ready.",
    ),
    r"`homefire up",
)
DOWN = Intent(
    "down",
    (
        *ways(
            "stop|end|quit|shut down|close|kill|turn off|halt|switch off|terminate", "(homefire|the daemon|the server)"
        ),
        "what (does (`homefire down`|homefire down) do|is (`homefire down`|homefire down))?",
        "homefire down",
        "homefire should (stop|end|be off)",
        "(stop|end|quit|kill) it",
        "how does (homefire|the daemon) (stop|end|shut down)?",
        "i (am done with|no longer need) homefire, how do i stop it?",
        "i (want|would like) (homefire|the daemon) to (stop|end|shut down|be off)",
    ),
    (
        "could you explain how homefire is stopped?",
        "what command is it to shut the daemon down?",
        "how might homefire be turned off?",
        *ways_held(
            "stop|end|quit|shut down|close|kill|turn off|halt|switch off|terminate", "(homefire|the daemon|the server)"
        ),
    ),
    ("`homefire down` stops it.",),
    r"`homefire down`",
)
STATUS = Intent(
    "status",
    (
        *ways(
            "check|see|show|view",
            "(the status of (homefire|the daemon)|the state of (homefire|the daemon))",
        ),
        "is (homefire|the daemon|the server) (running|up|on|working)?",
        "what (does (`homefire status`|homefire status) do|is (`homefire status`|homefire status))?",
        "(what|which) model is (loaded|in memory|active|running)( now|)?",
        "(what|where) is the address( of homefire| of the server|)?",
        "show (me |)(the |)(status|state)( of homefire|)",
        "homefire status",
        "which address does homefire use?",
        "(how do i|how can i|how to|i want to|tell me how to|which command do i use to) (see|check|know|"
        "find out) (if|whether) (homefire|the daemon|the server|it) (is running|runs|works|is up|is on|"
        "is alive)?",
        "(how do i|how can i|i want to) (see|check|know) (which|what) model is (loaded|in memory|active|running)?",
        "(does|is) (homefire|the daemon) (run|running|on|alive|up)( now| at the moment|)?",
        "how is (homefire|the daemon)( doing| running|)?",
        "(tell|say) (me |)(how i|if i can) check (the daemon|homefire)",
    ),
    (
        "could you tell how i check that homefire is running?",
        "how might i see the status of the daemon?",
        "is there a command to see which model is in memory?",
        *ways_held(
            "check|see|show|view",
            "(the status of (homefire|the daemon)|the state of (homefire|the daemon))",
        ),
    ),
    ("`homefire status` shows whether it runs, its address and the model in memory.",),
    r"`homefire status`",
)
CHAT = Intent(
    "chat",
    (
        *ways("start|begin|open", "a (chat|conversation) in (the|my) (terminal|shell)"),
        "what (does (`homefire chat`|homefire chat) do|is (`homefire chat`|homefire chat))?",
        "how do i (start a chat|start a conversation|ask a question|send one prompt|ask one prompt) (in|"
        "from) the (terminal|shell|command line)?",
        "(can i|how do i) chat without (the page|a browser|the browser)?",
        "homefire chat",
        "(how do i|how can i|how to|how does one|i want to|i would like to|tell me how to|explain how "
        "to|which command do i use to) (chat|talk|speak|write) (with|to) (homefire|a model|the model|"
        "you) (in|from) (the|a|my) (terminal|command line|shell|console)?",
        "(how do i|how can i|how to|how does one|i want to|let me) (chat|talk) (in|from|on) (the|a|my) "
        "(terminal|command line|shell)?",
        "(which command|what) (lets me |)(chat|talk|chats|talks) (in|from) (the|my) (terminal|command line)?",
        "(how do i|how can i|i want to) ask (a single|one|a) (question|prompt) (from|in) (a script|the "
        "terminal|the shell)?",
        "(explain|tell me|show me) how (i|one|to) (talk|talks|chat|chats) (to|with) (a model|the model|"
        "you) (in|from) (the|a) (shell|command line)",
    ),
    (
        "could you explain how one talks to a model in a terminal?",
        "which command lets me chat from my shell?",
        "how may i start a conversation in the terminal?",
        *ways_held("start|begin|open", "a (chat|conversation) in (the|my) (terminal|shell)"),
    ),
    ('`homefire chat` talks in the terminal; `homefire chat "a prompt"` answers one prompt.',),
    r"`homefire chat",
)
LEAVE = Intent(
    "leave",
    (
        *ways("leave|exit|quit|end|close|get out of", "(the|this|a) (chat|conversation|terminal chat)"),
        "how do i (stop|interrupt|cut off|cancel) (the |an |this |)(answer|reply|response|output)?",
        "what does (ctrl-c|ctrl c|control c|ctrl-d|/exit) do( in the chat|)?",
        "(the answer|it) is too long, how do i stop it?",
        "how to (interrupt|cancel) an answer?",
        "how (do i|can i|to) (stop|interrupt|cut off|cancel) (the|an|this|a long) (answer|reply|response)?",
        "(is it possible|is there a command) to (interrupt|stop|cancel) (an|the|a long) answer?",
        "how is (an answer|a reply|the answer) (stopped|interrupted|cancelled|cut off)?",
        "the (answer|reply) is (very |too |)long, how (do|can) i (cancel|interrupt|end) it?",
        "(how|what) do i (type|press) to (leave|exit|quit)( the chat| the terminal chat|)?",
        "how does one (leave|end|quit) (it|a chat)?",
        "i want (to leave|to get out of|out of) the chat( again|)",
    ),
    (
        "in the terminal, how does one leave the chat?",
        "is there a way to interrupt a long answer?",
        "how might i get out of the chat again?",
        *ways_held("leave|exit|quit|end|close|get out of", "(the|this|a) (chat|conversation|terminal chat)"),
    ),
    ("`/exit` or Ctrl-D leaves the chat; Ctrl-C only stops the answer.",),
    r"`/exit`",
)
REAL = Intent(
    "real model",
    (
        *ways(
            "get|find|install|download|obtain|fetch|add", "a (real|better|bigger|smarter|stronger) (model|assistant)"
        ),
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
        "(which|what) (real |good |)model (should|can|could) i (get|install|download|take) for (my|this|"
        "a) (machine|computer|laptop)?",
        "i (want|would like|need) (something|a model|an ai) (better|smarter|bigger|stronger) than (you|this|the pilot)",
        "(how|where) (do|can|would) i (get|find|obtain) (better|bigger|larger|good|real|more) (models|ai|answers)?",
        "(what is|tell me) the (best|next|first) (model|step) (for my computer|to get a real model|after this)?",
        "what (comes|do i do) after the (pilot|installation)?",
        "what (does (`homefire setup`|homefire setup|setup) do|is (`homefire setup`|homefire setup) for)?",
        "(is there a better model|are there better models|are there bigger models|are there other models)(?|)",
    ),
    (
        "could you explain how i obtain a real model?",
        "where would i find a better and bigger model?",
        "what model would one download for my computer?",
        "please help me to install a smarter model",
        *ways_held(
            "get|find|install|download|obtain|fetch|add", "a (real|better|bigger|smarter|stronger) (model|assistant)"
        ),
    ),
    (
        "Run `homefire setup`: it proposes a model that fits this machine and fetches it. Then pick it in the page or with "
        "`homefire chat --model NAME`.",
    ),
    r"`homefire setup`",
)
IMPORT = Intent(
    "import",
    (
        *ways(
            "import|load|register|put in|add",
            "(a|my|the|this) (gguf file|model file|downloaded file|file i downloaded)",
        ),
        "i (have|downloaded|got|found) a (gguf|gguf file|model file|model), (what now|how do i use it|"
        "what next|how do i add it)?",
        "what (does (`homefire models import`|homefire models import) do|is (`homefire models import`|homefire models import))?",
        "what is (a gguf|gguf|a gguf file)?",
        "where do i put the (gguf|gguf file|model file|model|file)?",
        "homefire models import",
        "(there is|i have got|here is) (a gguf|a gguf file|a model file) (on my disk|in my downloads|"
        "here), (what now|how do i (use|load|import) it)?",
        "(my|the) (gguf|download|gguf file) is (here|done|finished|on my disk), (what now|how do i (add|import) it)?",
        "(how|where) does (a gguf|a gguf file|my model file) go( in|)?",
        "how is (a gguf|a gguf file|a downloaded model|my downloaded model) (imported|added|loaded)?",
        "(can|does) homefire (use|load|read|run) (a gguf|gguf files|my gguf|any gguf)?",
        "(how do i|how can i|i want to|explain how to) (import|load|add|use) (a |my |the )(downloaded "
        "model|gguf|model i downloaded|file i have)( in homefire| into homefire|)?",
    ),
    (
        "there is a gguf file on my disk, how do i add it?",
        "could you explain how to import my downloaded gguf file?",
        "what is used to import a model file i downloaded?",
        *ways_held(
            "import|load|register|put in|add",
            "(a|my|the|this) (gguf file|model file|downloaded file|file i downloaded)",
        ),
    ),
    ("Run `homefire models import FILE.gguf`.",),
    r"`homefire models import FILE\.gguf`",
)
LIST = Intent(
    "list models",
    (
        *ways(
            "list|see|show|view|print",
            "(the models|all models|my models|all installed models|the installed models)",
            "are",
        ),
        "(which|what) models (are installed|do i have|are there|are available|are here)?",
        "(list|show|show me) (the |all |my |)(models|installed models)",
        "what (does (`homefire models`|homefire models) do|is (`homefire models`|homefire models))?",
        "homefire models",
        "(which|what) models (have i got|do i have|has homefire)( installed| here| now|)?",
        "how many models (do i have|are installed|are there)?",
        "(show|tell) me (every model|which models i have here|what is installed|a list of the models)",
        "(a|the) list of (all |my |the |installed )models( please|)",
    ),
    (
        "could you tell me how i view every installed model?",
        "which command prints a list of my models?",
        "what models are there on my machine now?",
        *ways_held(
            "list|see|show|view|print",
            "(the models|all models|my models|all installed models|the installed models)",
            "are",
        ),
    ),
    ("`homefire models` lists the installed models.",),
    r"`homefire models`",
)
PICK = Intent(
    "pick",
    (
        *ways(
            "pick|choose|select|switch to|change to|use",
            "(another|a different|some other|the other|an imported|a certain) model",
        ),
        "what (does (`--model`|--model) do|is (`--model`|--model)( for|))?",
        "(how do i|how can i|how to|how may i|i want to|can i) (change|switch|pick|choose|select) (the |"
        "between |my |)(model|models)?",
        "(change|switch|choose|select|pick) the model",
        "how is (the|a) model (chosen|picked|selected|changed|switched)?",
        "(how|where) do i (say|tell homefire) which model (to use|i want|answers)?",
        "(in which way|how) (is|can) (another|a different|some other) model (be |)(used|chosen|selected)?",
        "i (want|would like) (another|a different|some other) model to (answer|talk|reply)",
    ),
    (
        "could you explain how i switch to another model?",
        "in which way do i choose the model?",
        "how might i select some different model?",
        *ways_held(
            "pick|choose|select|switch to|change to|use",
            "(another|a different|some other|the other|an imported|a certain) model",
        ),
    ),
    ("Pick it in the page, or use `homefire chat --model NAME`.",),
    r"`homefire chat --model NAME`",
)
REMOVE = Intent(
    "remove model",
    (
        *ways("remove|delete|uninstall|erase|drop|get rid of", "(a|my|the|an old|this|one) (model|installed model)"),
        "what (does (`homefire models remove`|homefire models remove) do|is (`homefire models remove`|homefire models remove))?",
        "the disk is full of models, how do i delete one?",
        "homefire models remove",
        "(how can|may) i (remove|delete|uninstall) (models|a model|one of my models)( i no longer need| i "
        "no longer want| from my disk|)?",
        "i (no longer need|no longer want|do not need|do not want) (a|this|that|one) model",
        "how are (models|old models) (removed|deleted|uninstalled)?",
        "(delete|remove|uninstall) (models|an old model|one of the models) from (the|my) disk",
    ),
    (
        "could you explain how an old model is deleted?",
        "which command removes a model from my disk?",
        "how might i uninstall one of my models?",
        *ways_held(
            "remove|delete|uninstall|erase|drop|get rid of", "(a|my|the|an old|this|one) (model|installed model)"
        ),
    ),
    ("`homefire models remove NAME` removes a model.",),
    r"`homefire models remove NAME`",
)
KEY_ADD = Intent(
    "add key",
    (
        *ways("make|add|create|generate|get|issue", "((a|a new|another|my) key|(an|a new|another|my) api key)"),
        "what (does (`homefire key add`|homefire key add) do|is (`homefire key add`|homefire key add))?",
        "(where|how) (do i find|do i get) (my|the) (api key|key)?",
        "i (lost|forgot) my (api |)key",
        "homefire key add",
        "(i|my program|my script|my editor|my app|another program) (need|needs|want|wants) (a|an|a new|"
        "its own) (key|api key)",
        "(is a key|is an api key|are keys) needed( for the api| for my program|)?",
        "(where|how) would (i|my program) (get|have|find) (a|an|its) (key|api key)?",
        "how does (my program|my script|an app) get (a|its) key?",
    ),
    (
        "could you explain how a new api key is made?",
        "which command creates a key for my program?",
        "where might a program get an api key?",
        *ways_held("make|add|create|generate|get|issue", "((a|a new|another|my) key|(an|a new|another|my) api key)"),
    ),
    ("`homefire key add NAME` makes a key and prints it once.",),
    r"`homefire key add NAME`",
)
KEY_SHOW = Intent(
    "show keys",
    (
        *ways(
            "list|see|show|view|print",
            "(the keys|all keys|my keys|my api keys|the names of my keys|all api keys)",
            "are",
        ),
        "(which|what) (api |)keys (are there|do i have|exist)?",
        "(list|show|show me) (the|all|my) (api |)keys",
        "what (does (`homefire key show`|homefire key show) do|is (`homefire key show`|homefire key show))?",
        "homefire key show",
        "(which|what) (api |)keys (have i got|have i made|are in use|do i have)?",
        "how many (api |)keys (do i have|are there|have i got)?",
        "(show|tell) me (every key|which keys i have|what keys exist)",
    ),
    (
        "could you tell me how i view every api key?",
        "print every name of my keys",
        "are there keys i have made?",
        *ways_held(
            "list|see|show|view|print",
            "(the keys|all keys|my keys|my api keys|the names of my keys|all api keys)",
            "are",
        ),
    ),
    ("`homefire key show` lists the names of the keys.",),
    r"`homefire key show`",
)
KEY_END = Intent(
    "revoke key",
    (
        *ways(
            "revoke|remove|delete|cancel|disable|end|block", "((a|my|the|this|an old) key|(an|my|the|an old) api key)"
        ),
        "what (does (`homefire key revoke`|homefire key revoke) do|is (`homefire key revoke`|homefire key revoke))?",
        "my (api |)key (was stolen|leaked|is stolen|got out)(, what now|)?",
        "someone (has|stole|knows) my (api |)key",
        "homefire key revoke",
        "(my|the|a|an|one) (api |)(key|api key) (has |was |)(leaked|stolen|got out|is old|no longer "
        "needed)(, what now|, how do i (end|block|revoke) it|)?",
        "i (no longer need|do not want) (a|this|my) key",
        "(someone|somebody|a friend) (has|saw|stole|knows) (my|the) (api |)key(, what now|)",
        "a key should (no longer work|stop working|end)",
    ),
    (
        "could you explain how an old api key is revoked?",
        "what would end a key for good?",
        "my key has leaked, how do i disable it?",
        *ways_held(
            "revoke|remove|delete|cancel|disable|end|block", "((a|my|the|this|an old) key|(an|my|the|an old) api key)"
        ),
    ),
    ("`homefire key revoke NAME` ends a key.",),
    r"`homefire key revoke NAME`",
)
DOCTOR = Intent(
    "doctor",
    (
        *ways("fix|debug|repair|diagnose|solve|find", "(a problem|an error|the problem|a fault)"),
        "(i get|i have|i see|there is) (an error|a problem|an issue|a failure)( with homefire|)",
        "what (does (`homefire doctor`|homefire doctor) do|is (`homefire doctor`|homefire doctor))?",
        "why (does (homefire|it) not (work|start)|is (homefire|it) (slow|broken|not working|failing))?",
        "homefire doctor",
        "how do i check my (installation|setup|install)?",
        "(homefire|the daemon|the program) (seems|looks|appears) (to be |)(broken|wrong|slow|dead|stuck)",
        "(homefire|the daemon) (will not|cannot|does not|won t|can t) (start|run|work|answer|begin)",
        "i (get|see|have) (errors|a strange error|an error message|problems)( from homefire| when i start it|)",
        "(what|which command) (helps|can help) (with|to find) (problems|errors|a problem)?",
        "what (should|can|do) i do (when|if) (homefire|it|the daemon) (is broken|fails|does not work|crashes)?",
        "(check|test) my (installation|setup|install)",
    ),
    (
        "homefire seems to be broken, what should i do?",
        "which command helps to diagnose a problem?",
        "there is an error and the daemon will not start",
        *ways_held("fix|debug|repair|diagnose|solve|find", "(a problem|an error|the problem|a fault)"),
    ),
    ("Run `homefire doctor`: it says what is wrong and what to do.",),
    r"`homefire doctor`",
)
LINK = Intent(
    "link",
    (
        *ways(
            "open|see|reach|visit|find|get to|use", "(the page|the web page|the page in my browser|the web interface)"
        ),
        "(the|my) link (expired|does not work|is gone|is used|is old|was used)",
        "i (lost|need|closed|forgot) (the|a) (link|page|url)",
        "what (does (`homefire link`|homefire link) do|is (`homefire link`|homefire link))?",
        "where is the (page|web page|link|interface|website)?",
        "homefire link",
        "(is there|do you have) a (web page|gui|web interface|page)?",
        "how do i (log in|sign in|login)( to the page|)?",
        "(how do i|how can i|i want to|i need to) (get|print|make|see|have) (a |the |a new |another |a "
        "fresh )(link|one-time link|login link)?",
        "(which command|what) (prints|makes|gives|shows) (a|the|a new|a fresh) (one-time link|link)?",
        "(my|the) (one-time link|link|page link) (has |)(expired|is too old|no longer works|was used|is "
        "gone)(, what now|, how do i get another|)?",
        "(give me|i need|i want) (a|a new|another|a fresh) link( please|)",
        "(where|how) (do|can) i (see|find|open|reach) (homefire|it) in (the|my|a) browser?",
        "the page (asks for a link|does not open|is closed|wants a link)",
    ),
    (
        "my one-time link has expired, how do i get a fresh one?",
        "what do you type when the web page should open?",
        "could you explain how i reach the page in a browser?",
        *ways_held(
            "open|see|reach|visit|find|get to|use", "(the page|the web page|the page in my browser|the web interface)"
        ),
    ),
    ("`homefire link` prints a fresh one-time link to the page.",),
    r"`homefire link`",
)
BENCH = Intent(
    "bench",
    (
        *ways(
            "measure|benchmark|test|check",
            "(the speed|the performance|the speed of (homefire|this machine|my machine))",
        ),
        "(run|start) (a|the) benchmark",
        "how fast is (homefire|my machine|this|it)?",
        "what (does (`homefire bench`|homefire bench) do|is (`homefire bench`|homefire bench))?",
        "homefire bench",
        "are there benchmarks?",
        "(which command|what) (measures|runs) (a benchmark|the speed|performance)?",
        "(is there|do you have) a (benchmark|speed test)?",
        "(run|start|make|how do i run|how do i start) (a|the|some) (benchmark|speed test)( here|)?",
        "(is|how) (homefire|it) (fast|quick)( here| enough|)?",
    ),
    (
        "could you explain how i measure performance?",
        "i want some benchmark of my machine",
        "how do i test the speed here?",
        *ways_held(
            "measure|benchmark|test|check",
            "(the speed|the performance|the speed of (homefire|this machine|my machine))",
        ),
    ),
    ("`homefire bench NAME` measures.",),
    r"`homefire bench NAME`",
)
JSON = Intent(
    "json flag",
    (
        "what (does (`--json`|--json) do|is (`--json`|--json)( for|))?",
        "do the (commands|verbs) (print|give|support|have|output) json?",
        "can (scripts|a program|a script) read the output?",
        "(how do i|how can i|how to|i want to|can i) (get|print|have|read|use|see) (json|json output|"
        "output as json|the output in json|machine readable output)( from homefire| from the commands| "
        "from a command| from a verb|)?",
        "(what|which flag|which option|which argument) (gives|prints|makes|is for) (json|json output|"
        "machine readable output)?",
        "(does|can) (every verb|a verb|homefire|each command|homefire status) (print|give|support|make) json?",
        "is (there json|json output possible|the output json|json supported)( here|)?",
        "(how do i|i want to) use homefire (in|from) (a script|scripts)?",
        "i (want|need) (json|machine readable output)( for a script| from the verbs|)",
        "which flag do the (verbs|commands) take for json?",
    ),
    (
        "do the verbs support json output?",
        "which flag makes the commands print json?",
    ),
    ("Every verb takes `--json`.",),
    r"`--json`",
)
HOME = Intent(
    "home",
    (
        *ways(
            "move|change|relocate|set|put",
            "(the (state|data|home) folder|homefire's (state|data)|all (data|state)|the folder of homefire)",
        ),
        "what (does (`HOMEFIRE_HOME`|HOMEFIRE_HOME) do|is (`HOMEFIRE_HOME`|HOMEFIRE_HOME)( for|))?",
        "(where|in which folder) (does|is|are) (homefire|it|my chats|my models|all my data|the database|"
        "everything) (keep its state|keep its data|stored|kept|saved)?",
        "(which|what) (variable|folder|setting|directory) (sets|moves|holds|has|is for) (the |my |all |"
        ")(state|data|home|data folder|models and chats)?",
        "(can|how do) i (keep|store|put|move|have) (models|the data|everything|all data|my chats) (on|"
        "to) (another|a different|my other) (disk|drive|folder)?",
        "where (on my disk |)(are (my files|my chats|all chats)|is (everything|the database|the state))( "
        "of homefire|)( kept| stored|)?",
        "(where|what) is the (home|home folder|state folder|data folder)( of homefire|)?",
    ),
    (
        "could you tell me how i move all data to another drive?",
        "which variable sets the folder for homefire's state?",
        "where are all my chats stored?",
        *ways_held(
            "move|change|relocate|set|put",
            "(the (state|data|home) folder|homefire's (state|data)|all (data|state)|the folder of homefire)",
        ),
    ),
    ("All state is in `~/.homefire`; the variable `HOMEFIRE_HOME` moves it.",),
    r"HOMEFIRE_HOME",
)
PORT = Intent(
    "port",
    (
        *ways("change|set|use|pick|choose", "(the port|another port|a different port|some other port|the port number)"),
        "(which|what) port( does homefire use| is used| is it| does it use| does it listen on|)?",
        "what (does (`HOMEFIRE_PORT`|HOMEFIRE_PORT) do|is (`HOMEFIRE_PORT`|HOMEFIRE_PORT)( for|))?",
        "(the |)port (7373 |)is (taken|in use|already in use|busy|used)",
        "is 7373 the port?",
        "the address is already in use",
        "(on |at |)(which|what) port (is homefire|does homefire (run|listen|answer)|does the (daemon|"
        "page) (use|have|listen on)|is the page)?",
        "(which|what) (variable|setting) (changes|sets|is for) the port?",
        "(the port|port 7373|7373|my port) is (busy|taken|used by another program|not free)(, what now|"
        ", what do i do|)?",
        "(what is|tell me|say) (the|homefire's) port( number|)( of homefire| of the page|)",
        "is (the port|it) 7373?",
    ),
    (
        "could you tell me how i use another port number?",
        "at what port number does homefire listen?",
        "my port is busy, how do i use another?",
        *ways_held(
            "change|set|use|pick|choose", "(the port|another port|a different port|some other port|the port number)"
        ),
    ),
    ("The port is 7373; `HOMEFIRE_PORT` changes it.",),
    r"HOMEFIRE_PORT",
)
API = Intent(
    "api",
    (
        *ways(
            "use|call|reach|access|connect to",
            "(the api|the openai api of homefire|homefire from my code|homefire from another program)",
        ),
        "(is there|do you have|does homefire have) (an|a) (api|rest api|openai api|http api|endpoint)?",
        "what is the (base url|url|endpoint|api address|api url|api)( of homefire| of the api|)?",
        "is homefire (openai compatible|compatible with openai|compatible with the openai api)?",
        "can i use (homefire|it) (with|from) (my app|the openai client|the openai library|another "
        "program|vs code|other tools)?",
        "which base url( do i use|)?",
        "(how do i|how can i|how to|can i) (connect|use|point|link) (an openai client|the openai client|"
        "my own program|my app|the openai library|vs code|my editor|a python client)( to homefire| with "
        "homefire| here|)?",
        "(how|where) (does|can|would) (my own program|my program|an app|an openai client|my script) "
        "(connect|connect to homefire|reach homefire|talk to homefire|reach the api)?",
        "(which|what) (base url|url|address|endpoint) (do i (give|use|set|type)|does (an openai client|"
        "my program|the api) need|is for the api|has the api)( in my program| to a client|)?",
        "(does|can) homefire (speak|offer|have|support|answer) (the openai api|an openai api|openai|an "
        "api|openai clients)?",
        "are (openai clients|other programs|other apps) (supported|possible|able to connect)?",
    ),
    (
        "could you explain how my own program connects to the api?",
        "which base url do i give to an openai client?",
        "does homefire offer an openai compatible api?",
        *ways_held(
            "use|call|reach|access|connect to",
            "(the api|the openai api of homefire|homefire from my code|homefire from another program)",
        ),
    ),
    ("Any OpenAI client works with the base URL http://127.0.0.1:7373/v1 and a key from `homefire key add NAME`.",),
    r"http://127\.0\.0\.1:7373/v1",
)
MAKE = Intent(
    "make",
    (
        *ways(
            "install|build|set up|test|develop",
            "homefire( from source| from a checkout| from its source| from the repository)",
        ),
        "what (does (`make (run|test)`|make (run|test)) do|is (`make (run|test)`|make (run|test)))?",
        "how is homefire installed?",
        "make (run|test)",
        "(how do i|how can i|how to|which command do i use to|i want to) run (the|all|all the|the whole) tests?",
        "(how|where) is homefire (installed|built|set up|tested)( from source| from the code| from a checkout|)?",
        "(how do i|how can i|how to|i want to|tell me how to) (install|build|set up) homefire?",
        "(which command|what) (runs|starts) (the|all|every) (tests|test)?",
        "(run|start) (the|all|all the) tests",
        "how do i start homefire from (source|a checkout|the code|the repository)?",
        "i (have|got|cloned) (the source|a checkout|the repository|the code), what now?",
    ),
    (
        "could you explain how homefire is installed from its source?",
        "what do i type so that every test runs?",
        *ways_held(
            "install|build|set up|test|develop",
            "homefire( from source| from a checkout| from its source| from the repository)",
        ),
    ),
    ("`make run` installs and starts Homefire; `make test` runs the tests.",),
    r"`make (run|test)`",
)
ALL = Intent(
    "all commands",
    (
        *ways("list|show|see|explain|print", "(all|the|all the) (commands|verbs)( of homefire|)", "are"),
        "(what|which) commands (are there|do you have|exist|does homefire have|can i use|can i type|do i need)?",
        "how do i use (homefire|this|it)?",
        "(commands|usage|manual|help with commands|homefire help|homefire --help)",
        "explain (the |)(commands|command line|usage)",
        "what can i type?",
        "how does (the command line|this) work?",
        "(give me|i need|i want) (an overview|a list|a summary) of (the commands|all commands|the verbs|"
        "homefire's verbs)",
        "(which|what) (verbs|commands) (do i have|does homefire know|have i got|does the program take)( here|)?",
        "how many (commands|verbs) (are there|does homefire have)?",
        "(every|each) (command|verb) of homefire( please|)",
        "could you (show|tell|give) me (every|each) (command|verb)?",
    ),
    (
        "could you list every command of homefire?",
        "give an overview of the commands",
        "name the commands i have",
        *ways_held("list|show|see|explain|print", "(all|the|all the) (commands|verbs)( of homefire|)", "are"),
    ),
    (
        "`homefire up` starts it, `homefire down` stops it, `homefire status` shows how it is, "
        "`homefire chat` talks, `homefire models` lists models, `homefire key` keeps keys, `homefire "
        "link` prints a link and `homefire doctor` finds faults.",
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
