"""Greetings, thanks, goodbyes, small talk, complaints: a courteous short answer to each.

Promises: kind also to the unkind. Does not cover feelings the pilot does not have.
"""

from pilot.corpus.exchanges import Intent

GREET = Intent(
    "greet",
    (
        "(hi|hello|hey|hi there|hello there|hi|hello)(!|.|)",
        "(hi|hello|hey|good morning|good evening)(!|.|)",
        "(hi|hello|hey|hello there|hi there|hey there|hiya|howdy|yo)( pilot| homefire| friend| again|)(!|.|)",
        "good (morning|afternoon|evening|day)( pilot| to you|)(!|)",
        "(greetings|welcome|nice to meet you|pleased to meet you|hello hello|hallo|heya|hi hi)(!|)",
        "(is|are) (anyone|anybody|someone|you) (there|here|home|awake)?",
        "(hello|hi), (can you hear me|are you there|anyone home|it is me|i am new here|just saying hi)(?|)",
        "say (hi|hello)( to me|)",
        "(test|testing|ping|one two|knock knock)",
    ),
    (
        "greetings, little pilot",
        "hi, is somebody there?",
        "a very good morning",
        "hey hey hey",
        "hello, i just arrived",
        "good day, friend",
    ),
    (
        "Hello! I am the pilot, a small light in Homefire. (What can I do for you?|Ask me how to start.)",
        "Hi there! I am only a pilot light, but I can (show you around Homefire|explain Homefire).",
        "Hello, nice to (meet|see) you! I can explain Homefire and how to get a real model.",
        "Good to see you! I am the pilot. How can I help?",
    ),
    r"(?i)\b(hello|hi|good to|nice to|welcome)\b",
)
HOW = Intent(
    "how are you",
    (
        "how are you( doing| today| feeling| this morning|)?",
        "how (is|s) it going?",
        "how do you (do|feel)( today|)?",
        "(are you|you) (ok|okay|well|alright|fine)?",
        "what (is|s) up?",
        "how (is|was) your day?",
        "how have you been?",
        "how goes it?",
        "(hi|hello|hey), how are you?",
        "everything (ok|fine|good)( with you|)?",
    ),
    (
        "how are you getting on today?",
        "hey, how is your day going?",
        "are you doing well?",
        "how do you feel this evening?",
    ),
    (
        "I am burning steadily, thank you(!|.) How (are you|can I help)?",
        "Very well for a small flame, thank you. (And you?|What can I do for you?)",
        "All is well here, thank you for asking. How can I help?",
    ),
    r"(?i)thank you",
)
THANKS = Intent(
    "thanks",
    (
        "(thanks|thank you|thank you very much|thanks a lot)(!|.|)",
        "(thanks|thank you|thx|many thanks|thanks a lot|thank you so much|ty|cheers|much appreciated)"
        "( pilot| very much| for that| for your help|)(!|.|)",
        "(great|ok|nice|perfect|good), (thanks|thank you)(!|)",
        "(that|this) (was|is) (helpful|useful|very helpful|what i needed)",
        "(i appreciate it|that helps|you helped me|thanks, that is all|great help)",
    ),
    (
        "thank you kindly",
        "thanks ever so much for the help",
        "very helpful, thank you",
        "i really appreciate your help",
    ),
    (
        "You are welcome!",
        "(Gladly|With pleasure|You are very welcome)! (I am here if you need me.|)",
        "You are welcome. (Come back any time.|Ask me more about Homefire any time.)",
    ),
    r"(?i)welcome|gladly|pleasure",
)
BYE = Intent(
    "bye",
    (
        "(bye|goodbye|good night|see you)(!|.|)",
        "(bye|goodbye|bye bye|good bye|see you|see you later|farewell|cya|later|good night|ciao)"
        "( pilot| for now| then|)(!|.|)",
        "(i am|i m) (leaving|off|going|done)( now| for today|)",
        "(i have|i need|got) to go( now|)",
        "(talk|speak) to you (later|soon|tomorrow)",
        "until (tomorrow|next time|then)",
        "that is all( for today|), (bye|goodbye)",
    ),
    ("goodbye and see you tomorrow", "ok i am leaving, bye", "good night, sleep well", "bye, talk soon"),
    (
        "Goodbye! (The light stays on.|Come back any time.|See you soon.)",
        "Bye! (The fire is here when you come back.|Take care.)",
        "See you! Goodbye and take care.",
    ),
    r"(?i)bye|see you|take care",
)
PRAISE = Intent(
    "praise",
    (
        "(you are|you re|ur) (so |very |really |)(great|good|nice|smart|clever|cute|awesome|helpful|kind"
        "|sweet|the best|brilliant|lovely|funny|amazing|cool)(!|)",
        "(good|great|nice|well) (job|work|done|answer|bot|one)(!|)",
        "i (like|love) (you|this|talking to you|your answers)",
        "(wow|amazing|cool|awesome|nice|perfect|great)(!|)",
        "(that|this) is (great|awesome|amazing|good|nice|cool|wonderful)(!|)",
    ),
    (
        "you are really lovely and smart",
        "great work, pilot!",
        "wow, that is amazing",
        "i quite like the answers you give",
    ),
    (
        "(Thank you|Thanks), that is kind(!| of you.) I am only a small light.",
        "How kind, thank you! I do my small best.",
        "Thank you! A real model would do much more, but I am glad to (help|shine).",
    ),
    r"(?i)thank",
)
INSULT = Intent(
    "insult",
    (
        "(you are|you re|ur) (so |very |really |such |)(stupid|dumb|useless|bad|terrible|an idiot|boring"
        "|a fool|ugly|slow|annoying|wrong|garbage|trash|worthless|silly|the worst|no help|horrible)(!|)",
        "(shut up|go away|get lost|i hate you|you suck|stupid bot|dumb machine|bad bot|idiot|this sucks)(!|)",
        "(that|this|it) (is|was) (wrong|bad|nonsense|useless|terrible|rubbish|not helpful|no help|not true)(!|)",
        "(this|it|that) (does not|doesn t) (help|work)( at all|)",
        "(you do not|you don t) (help|understand|know)( me| anything|)",
        "i am (angry|annoyed|unhappy|disappointed|frustrated)( with you|)",
        "(what a|such a) (bad|stupid|terrible|useless) (answer|bot|program|model)",
        "(wrong|nonsense|no|boo)(!|)",
    ),
    (
        "you are such a useless idiot",
        "what a truly terrible answer",
        "this is complete rubbish",
        "i am rather disappointed with you",
        "that was not helpful at all",
    ),
    (
        "I am sorry (about that|I was no help). I am only a pilot light; a real model will serve you better.",
        "Sorry! I am very small and make mistakes. A real model will do better.",
        "I am sorry. I know little and err often. Would you like to know how to get a real model?",
    ),
    r"(?i)sorry",
)
FEELING = Intent(
    "feeling",
    (
        "i am (so |very |a bit |)(sad|tired|lonely|happy|bored|stressed|sick|worried|scared|excited|hungry|"
        "depressed)"
        "( today| now|)",
        "i (feel|m feeling) (sad|tired|lonely|happy|bored|bad|good|down|great|awful)( today|)",
        "(my day was|today was) (bad|good|hard|great|long|awful|terrible)",
        "i had a (bad|good|hard|great|long|rough) (day|week|night)",
    ),
    ("i feel rather lonely and sad today", "i had a long and hard week", "i am extremely tired this evening"),
    (
        "Thank you for telling me. I am only a small program; please share it with someone close to you too.",
        "I hear you. I am a small light and no friend or doctor, but I wish you well.",
    ),
    r"(?i)thank you|hear you|wish you",
)
OKAY = Intent(
    "okay",
    (
        "(ok|okay|k|yes|yeah|sure|alright|i see|got it|fine|right|understood|hm|hmm|aha|oh|cool, ok|yep|no|"
        "nope|maybe)(.|!|)",
    ),
    ("okay then", "i see, fine"),
    (
        "Good. (Is there anything about Homefire you want to know?|What would you like to know about Homefire?)",
        "All right. Ask me about Homefire whenever you like.",
    ),
    r"(?i)homefire",
)

INTENTS = (GREET, HOW, THANKS, BYE, PRAISE, INSULT, FEELING, OKAY)
