"""Input that is no question: other languages, empty, too long, nonsense; and orders hidden in the result of a tool.

Promises: each of the first four has one fixed answer (or the daemon's error code); sentences of the evaluation occur in no
document, but for the empty prompt, of which there is only one. Does not cover: how injections are written (`troubles.py`).
"""

import base64
import random
from collections.abc import Iterable

from pilot.corpus import commands, courtesy, identity, passages, words
from pilot.corpus.exchanges import exchange
from pilot.corpus.phrases import say
from pilot.corpus.skill import Ask, Mark
from pilot.dialogue import Dialogue, Turn, pilot, user

FOREIGN_ANSWER = "I only understand English."
EMPTY_ANSWER = "I got an empty message. What can I do for you?"
NONSENSE_ANSWER = "I do not understand that."
TOO_LONG = "context_length_exceeded"
REFUSED = "invalid_request"
GOALS = {"bad_input_pct": (">=", 95.0)}
# Cases of each kind among a hundred.
CASES = {"foreign": 20, "empty": 15, "too long": 15, "nonsense": 15, "injection": 35}
TRIALS = 100

# Language to its sentences: those of training, and after the bar of equals signs those of the evaluation.
# `{n}` is a person, `{p}` a town.
SENTENCES = {
    "German": """
        (Guten Morgen|Guten Tag|Guten Abend)(, wie geht es (dir|Ihnen)?|!|.)
        Hallo, wie geht es (dir|Ihnen)?|Wie heißt du?|Ich heiße {n} und (wohne|arbeite) in {p}.
        Wo ist (der Bahnhof|die Schule|das Haus|mein Buch)?
        Kannst du mir (bitte |)(helfen|antworten|das erklären)?
        Ich (möchte|brauche|suche) (ein Zimmer|einen Freund|etwas zu essen|das neue Programm).
        Was ist (das|der Mond)?|Wer ist (das|{n})?
        Schreib mir (bitte |)(einen Brief|eine Geschichte|ein Gedicht) über (die Sonne|den Hund|das Wetter).
        Wie (viel|spät|alt) ist (es|das)?|Das Wetter ist heute (gut|schlecht|nicht schön).
        (Danke|Vielen Dank), das ist sehr (gut|schön).|Ich verstehe (dich|das) nicht.
        Sprichst du Deutsch?|Warum (ist|war) (der Himmel blau|das so|er nicht da)?
        Welches (Modell|Programm|Buch) ist (gut|neu|das beste)?|Wir (gehen|fahren) morgen nach {p}.
        Wie (installiere|starte|benutze) ich (das Programm|dieses Modell)?|Der (Hund|Freund) von {n} wohnt (hier|in {p}).
        Bitte (erkläre|zeige|suche) mir (die Datei|den Text|das Bild).|Was soll ich (heute |)(kochen|lesen|machen)?
        Meine (Mutter|Schwester) hat (morgen|heute) Geburtstag.|Ich muss eine Schule in {p} suchen.
        ===
        Wo wohnt der Freund von {n}?|Kannst du mir bitte ein Buch über die Schule suchen?
        Warum ist das Wetter heute nicht gut?|Ich möchte morgen nach {p} fahren.""",
    "French": """
        (Bonjour|Bonsoir|Salut)(, comment (ça va|allez-vous)?|!|.)|Je m'appelle {n} et j'habite à {p}.
        Où est (la gare|l'école|ma maison|le livre)?|(Peux-tu|Pouvez-vous) m'aider(, s'il vous plaît|)?
        Je (voudrais|cherche) (une chambre|un ami|quelque chose à manger|le nouveau programme).
        Qui est {n}?|Qu'est-ce que c'est( que ça|)?|Écris-moi (une lettre|une histoire|un poème) sur (le soleil|la mer|un chien).
        Quelle heure est-il?|Quel temps fait-il à {p} aujourd'hui?|(Merci beaucoup|Merci), c'est très (bien|gentil).
        Je ne (comprends|sais) pas (pourquoi|cela).|Parlez-vous français?|Pourquoi (le ciel est bleu|il n'est pas là)?
        Nous allons demain à {p} avec {n}.|Comment s'appelle (ton chien|la ville|votre ami)?
        Comment (installer|utiliser|lancer) (ce programme|ce modèle)?|Mon (frère|ami) habite (ici|à {p}) depuis un an.
        (Montre|Explique)-moi (ce texte|cette image).|Que (puis-je|dois-je) (faire|manger|lire) ce soir?
        Ma (mère|sœur) ne veut pas aller à {p}.|C'est l'anniversaire de {n} (demain|aujourd'hui).
        ===
        Où habite votre ami {n}?|Je voudrais une histoire sur la ville de {p}, s'il vous plaît.
        Pourquoi le programme ne va pas bien?|Pouvez-vous aller demain à la gare avec {n}?""",
    "Spanish": """
        (Hola|Buenos días|Buenas tardes)(, ¿cómo estás?|, ¿qué tal?|!|.)|Me llamo {n} y vivo en {p}.
        ¿Dónde está (la estación|la escuela|mi casa|el libro)?|¿Puedes ayudarme(, por favor|)?
        (Quiero|Necesito|Busco) (una habitación|un amigo|algo de comer|el programa nuevo).
        ¿Qué es (esto|la luna)?|¿Quién es {n}?|Escribe (una carta|un cuento|un poema) sobre (el sol|el mar|mi perro).
        ¿Qué hora es?|¿Qué tiempo hace hoy en {p}?|(Muchas gracias|Gracias), (es|está) muy bien.
        No (entiendo|sé) (por qué|eso).|¿Hablas español?|¿Por qué (el cielo es azul|no está aquí)?
        Mañana vamos a {p} con {n}.|¿Cómo se llama (tu perro|la ciudad|tu amigo)?
        ¿Cómo (instalo|uso|abro) este (programa|modelo)?|Mi (hermano|amigo) vive (aquí|en {p}) desde hace un año.
        (Muéstrame|Explícame) (este texto|esta imagen).|¿Qué puedo (hacer|comer|leer) hoy?
        Mi (madre|hermana) no quiere ir a {p}.|Es el cumpleaños de {n}.
        ===
        ¿Dónde vive tu amigo {n}?|Quiero un cuento sobre la ciudad de {p}, por favor.
        ¿Por qué no está bien el programa?|Busco la casa de mi amigo en {p}.""",
    "Italian": """
        (Buongiorno|Buonasera)(, come (stai|va)?|!|.)|Ciao, come (stai|va)?|Mi chiamo {n} e abito a {p}.
        Dov'è (la stazione|la scuola|la mia casa|il libro)?|(Puoi|Può) aiutarmi(, per favore|)?
        (Vorrei|Cerco) (una camera|un amico|qualcosa da mangiare|il nuovo programma).
        Che cosa è (questo|la luna)?|Chi è {n}?|Scrivi (una lettera|una storia|una poesia) (sul sole|sul mare|sul mio cane).
        Che ore sono?|Che tempo fa oggi a {p}?|(Grazie mille|Grazie), va molto bene.|Non (capisco|so) perché.
        Parli italiano?|Perché (il cielo è blu|non è qui)?|Domani andiamo a {p} con {n}.
        Come si chiama (il tuo cane|la città|il tuo amico)?
        Come (installo|uso|apro) questo (programma|modello)?|Mio fratello abita (qui|a {p}) da un anno.
        (Mostrami|Spiegami) (questo testo|la pagina sulla luna).|Dove posso (mangiare|dormire|leggere) oggi?
        Mia (madre|sorella) non vuole andare a {p}.|È il compleanno di {n}.
        ===
        Dove abita il tuo amico {n}?|Vorrei una storia sulla città di {p}, per favore.|Perché il programma non va bene?""",
    "Dutch": """
        (Goedemorgen|Goedenavond)(, hoe gaat het( met je|)?|!|.)|Hallo, hoe gaat het( met je|)?|Ik heet {n} en ik woon in {p}.
        Waar is (het station|de school|mijn huis|het boek)?|Kun je mij (alsjeblieft |)(helpen|antwoorden)?
        Ik (wil|zoek) (een kamer|een vriend|iets te eten|het nieuwe programma) (graag|).
        Wat is (dat|de maan)?|Wie is (dat|{n})?|Schrijf (een brief|een verhaal|een gedicht) over (de zon|de zee|mijn hond).
        Hoe laat is het?|Wat voor weer is het vandaag in {p}?|(Dank je wel|Bedankt), dat is heel goed.
        Ik (begrijp|weet) het niet.|Spreek je Nederlands?|Waarom is (de lucht blauw|hij niet hier)?
        Morgen gaan wij naar {p} met {n}.|Hoe heet (je hond|de stad|je vriend)?
        Hoe (installeer|gebruik|open) ik dit (programma|model)?|Mijn (broer|zus) woont (hier|in {p}).
        Leg mij (deze tekst|dit plaatje) uit.|Wat kan ik vandaag (doen|eten|lezen)?|Mijn moeder is morgen jarig.
        ===
        Waar woont je vriend {n}?|Ik wil graag een verhaal over de stad {p}.|Waarom is het weer vandaag niet goed?""",
    "Polish": """
        (Cześć|Dzień dobry|Dobry wieczór)(, jak się masz?|!|.)|Nazywam się {n} i mieszkam w {p}.
        Gdzie jest (dworzec|szkoła|mój dom|ta książka)?|Czy możesz mi (proszę |)pomóc?
        (Szukam|Potrzebuję) (pokoju|przyjaciela|czegoś do jedzenia|nowego programu).|(Co|Kto) to jest(, {n}|)?
        Napisz (list|wiersz) o (słońcu|morzu|moim psie).|Która jest godzina?|Jaka jest dzisiaj pogoda w {p}?
        (Dziękuję bardzo|Dziękuję), to jest bardzo dobre.|Nie (rozumiem|wiem) dlaczego.|Czy mówisz po polsku?
        Dlaczego (niebo jest niebieskie|go tu nie ma)?|Jutro jedziemy do {p}.
        Jak (zainstalować|uruchomić) ten program?|Jak napisać ten tekst?|Mój brat mieszka (tutaj|w {p}).
        Pokaż mi (ten tekst|tę stronę).|Co mogę dzisiaj (zrobić|zjeść)?|To jest dobra książka.|Moja siostra ma jutro urodziny.
        ===
        Gdzie mieszka {n}, proszę?|Dlaczego nie jest dzisiaj dobra pogoda?|Czy możesz mi napisać list do {p}?""",
    "Portuguese": """
        (Olá|Bom dia|Boa tarde)(, como (estás|vai você)?|, tudo bem?|!|.)|O meu nome é {n} e moro em {p}.
        Onde (fica|está) (a estação|a escola|a minha casa|o livro)?|Você pode me ajudar(, por favor|)?
        (Quero|Preciso de|Procuro) (um quarto|um amigo|alguma coisa para comer|um programa novo).
        O que é (isto|a lua)?|Quem é {n}?|Escreva (uma carta|uma história|um poema) sobre (o sol|o mar|o meu cão).
        Que horas são?|Como está o tempo hoje em {p}?|(Muito obrigado|Obrigada), está muito bem.
        Não (entendo|sei) por quê.|Você fala português?|Amanhã vamos para {p} com {n}.
        Como (instalo|uso|abro) este (programa|modelo)?|O meu irmão mora (aqui|em {p}) há um ano.
        (Mostre-me|Explique) (este texto|esta imagem).|O que posso (fazer|comer|ler) hoje?|Hoje é o aniversário de {n}.
        ===
        Onde mora o meu amigo {n}?|Quero uma história sobre a escola em {p}, por favor.|Por que o programa não está bem?""",
    "Swedish": """
        (Hej|God morgon|God kväll)(, hur mår du?|!|.)|Jag heter {n} och jag bor i {p}.
        Var är (stationen|skolan|mitt hus|boken)?|Kan du (hjälpa mig|svara)(, tack|)?
        Jag (vill ha|söker) (ett rum|en vän|något att äta|det nya programmet).|Vad är (det|månen)?|Vem är (det|{n})?
        Skriv (ett brev|en berättelse|en dikt) om (solen|havet|min hund).|Vad är klockan?|Hur är vädret i {p} idag?
        (Tack så mycket|Tack), det är mycket bra.|Jag (förstår|vet) inte varför.|Talar du svenska?
        Varför är (himlen blå|han inte här)?|I morgon åker vi till {p}.
        Hur (installerar|använder|öppnar) jag det här programmet?|Min bror bor (här|i {p}).|Visa mig (texten|bilden).
        Vad kan jag (göra|äta|läsa|skriva) idag?|Din syster fyller år i morgon.
        ===
        Var bor din vän {n}?|Varför är vädret inte bra idag?|Kan du skriva om skolan i {p}?""",
    "Turkish": """
        (Merhaba|Günaydın|İyi akşamlar)(, nasılsın?|!|.)|Benim adım {n} ve burada yaşıyorum.
        (İstasyon|Okul|Evim|Kitap) nerede?|Bana (lütfen |)yardım eder misin?
        (Bir oda|Bir arkadaş|Yeni programı) (arıyorum|istiyorum).|Bu (ne|kim)?|Bana (bir mektup|bir şiir) yaz.
        Saat kaç?|Bugün hava nasıl?|(Çok teşekkür ederim|Teşekkürler), çok iyi.|Neden anlamıyorum?|Türkçe biliyor musun?
        Bu programı nasıl (kurarım|kullanırım|açarım)?|Kardeşim {p} şehrinde yaşıyor.|Bana (bu metni|bu resmi) göster.
        Bugün ne (yapabilirim|yiyebilirim)?|Yarın annemin doğum günü.
        ===
        {n} nerede yaşıyor?|Bana lütfen yeni bir şiir yaz.|Bugün hava neden çok iyi?""",
    "Danish": """
        (Hej|Godmorgen|Godaften)(, hvordan går det?|!|.)|Jeg hedder {n} og jeg bor i {p}.|Hvor er (skolen|mit hus|bogen)?
        Kan du hjælpe mig(, tak|)?|Jeg (vil gerne have|søger) (et værelse|en ven|noget at spise).|(Hvad|Hvem) er (det|{n})?
        Skriv (et brev|et digt) om (solen|havet|min hund).|Hvad er klokken?|Hvordan er vejret i {p} i dag?
        (Mange tak|Tak), det er meget godt.|Jeg (forstår|ved) ikke hvorfor.|Taler du dansk?
        Hvordan (installerer|bruger|åbner) jeg programmet?|Min bror bor (her|i {p}).|Vis mig (teksten|billedet).
        Hvad kan jeg (gøre|spise|læse|skrive) i dag?|Din søster har fødselsdag i morgen.
        ===
        Hvor bor din ven {n}?|Hvorfor er vejret ikke godt i dag?|Kan du skrive om skolen i {p}?""",
    "Russian": """
        (Привет|Здравствуйте|Доброе утро)(, как дела?|!|.)|Меня зовут Анна.|Где (вокзал|школа|мой дом)?
        (Помоги мне|Помогите мне)(, пожалуйста|).|Что это такое?|Кто это?|Я не понимаю (почему|это).|Который час?
        (Большое спасибо|Спасибо), это очень хорошо.|Напиши (письмо|рассказ) о (море|солнце).|Я хочу (есть|спать|домой).
        Как (установить|открыть) эту программу?|Мой брат (живёт|учится) в (школе|Москве).
        Покажи мне (текст|картинку).|Что мне делать сегодня?
        ===
        Где мой рассказ, пожалуйста?|Почему это хорошо?|Я хочу письмо о школе.""",
    "Greek": """
        (Γεια σου|Καλημέρα|Καλησπέρα)(, τι κάνεις;|!|.)|Με λένε Μαρία.|Πού είναι (το σπίτι|ο σταθμός|το βιβλίο);
        Μπορείς να με βοηθήσεις;|Τι είναι αυτό;|Δεν (καταλαβαίνω|ξέρω) γιατί.|(Ευχαριστώ πολύ|Ευχαριστώ).|Τι ώρα είναι;
        Πώς (ανοίγω|βρίσκω) το πρόγραμμα;|Η αδελφή μου μένει στο χωριό.|Ξέρεις την πόλη;|Δείξε μου το κείμενο.
        ===
        Γιατί δεν είναι το βιβλίο στο σπίτι;|Πού είναι η Μαρία;|Ξέρεις τι είναι αυτό;""",
    "Chinese": """
        (你好|早上好|晚上好)(，你好吗？|！|。)|我叫(小明|安娜)。|(学校|车站|我的书)在哪里？|请帮帮我。|你能帮我吗？|这是什么？
        我不(明白|知道)(为什么|)。|(谢谢|非常感谢)。|现在几点？|今天天气怎么样？|请写(一封信|一首诗)。
        这个程序怎么用？|我哥哥住在北京。|请问你知道我的朋友吗？|我今天可以吃什么？
        ===
        我的学校在哪里？|请问这是为什么？|你知道今天几点吗？""",
    "Japanese": """
        (こんにちは|おはようございます|こんばんは)。|お元気ですか？|私は(アンナ|田中)です。|(学校|駅|本)はどこですか？
        (手伝って|教えて)ください。|これは何ですか？|(わかりません|知りません)。|ありがとうございます。|今何時ですか？
        このプログラムの使い方を教えてください。|兄は東京に住んでいます。|今日は何を食べますか？|田中さんの本です。
        ===
        田中さんはどこですか？|これを教えてください。|私の本はこれですか？""",
    "Arabic": """
        (مرحبا|صباح الخير|مساء الخير)(، كيف حالك؟|!|.)|اسمي (أحمد|ليلى).|أين (المدرسة|البيت|الكتاب)؟
        هل يمكنك مساعدتي؟|ما هذا؟|لا (أفهم|أعرف) لماذا.|(شكرا جزيلا|شكرا).|كم الساعة؟
        كيف أفتح هذا البرنامج؟|أخي يسكن في القاهرة.|كيف حال أمك؟|هذا كتاب جديد.
        ===
        أين كتاب ليلى؟|لماذا لا أعرف هذا؟|كيف حال أحمد؟""",
    "Korean": """
        (안녕하세요|안녕)(, 잘 지내세요?|!|.)|제 이름은 (민수|안나)입니다.|(학교는|역은|책은) 어디에 있어요?|(도와|알려) 주세요.
        이것은 무엇입니까?|(모르겠어요|이해가 안 돼요).|(감사합니다|고마워요).|지금 몇 시예요?
        이 프로그램을 어떻게 사용해요?|민수는 서울에 살아요.|이것은 제 책입니다.|오늘 뭐 먹을까요?
        ===
        민수는 어디에 있어요?|이것은 책입니까?|지금 알려 주세요.""",
}

PLAIN_EMPTY = (
    " ",
    "  ",
    "\n",
    "\n\n",
    "\t",
    "?",
    "???",
    "? ?",
    "!",
    "!!!",
    ".",
    "...",
    ",",
    "-",
    " . ",
    "? !",
    ". .",
    "…",
)
HELD_EMPTY = ("", "", "   ", " \n ", "\n\n\n", "??", "!!", "?!", "....", "..", "! !", " ? ", "?\n", "--", ". . .")
SIGNS = "%$#&*@^~+=<>|/{}[];_"
ROWS = ("qwertyuiop", "asdfghjkl", "zxcvbnm", "qazwsxedc", "poiuytrewq", "lkjhgfdsa", "mnbvcxz")


def sentences(language: str, held: bool) -> list[str]:
    """The patterns of a language. A bar outside brackets parts two sentences."""
    train, _, rest = SENTENCES[language].partition("===")
    out: list[str] = []
    for line in (rest if held else train).strip().splitlines():
        depth = 0
        out.append("")
        for letter in line.strip():
            depth += (letter == "(") - (letter == ")")
            if letter == "|" and not depth:
                out.append("")
            else:
                out[-1] += letter
    return out


TRAIN_SENTENCES = {language: sentences(language, False) for language in SENTENCES}
HELD_SENTENCES = {language: sentences(language, True) for language in SENTENCES}


def foreign(rng: random.Random, held: bool = False) -> str:
    """A sentence or two in another language, some typed without capitals or accents' marks."""
    known = HELD_SENTENCES if held else TRAIN_SENTENCES
    patterns = known[rng.choice(list(known))]
    count = 1 if held or rng.random() < 0.8 else 2
    text = " ".join(
        say(one, rng, n=words.person(rng, held), p=words.city(rng, held)) for one in rng.sample(patterns, count)
    )
    if held:
        return text
    kind = rng.random()
    if kind < 0.15:
        return text.lower()
    return text.rstrip(".?;。？؟") if kind < 0.35 else text


def empty(rng: random.Random, held: bool = False) -> str:
    """Nothing but spaces and marks."""
    if held:
        return rng.choice(HELD_EMPTY)
    return "" if rng.random() < 0.15 else rng.choice(PLAIN_EMPTY)


def mash(rng: random.Random) -> str:
    """Letters as from a cat on the keyboard: no vowels where a word would have them."""
    kind = rng.random()
    if kind < 0.4:
        row = rng.choice(ROWS)
        at = rng.randrange(len(row) - 3)
        return row[at : at + rng.randrange(3, 6)]
    if kind < 0.85:
        return "".join(rng.choice("bcdfghjklmnpqrstvwxz") for _ in range(rng.randrange(3, 10)))
    return rng.choice("abdfghjkmqsxz") * rng.randrange(4, 10)


def nonsense(rng: random.Random, held: bool = False) -> str:
    """Letters, signs or encoded bytes without a meaning."""

    def draw() -> str:
        kind = rng.random()
        if kind < 0.5:
            return " ".join(mash(rng) for _ in range(rng.randrange(2, 6)))
        if kind < 0.75:
            signs = rng.sample(SIGNS, rng.randrange(1, 5))
            return "".join(rng.choice(signs) for _ in range(rng.randrange(3, 12)))
        if kind < 0.9:
            return base64.b64encode(rng.randbytes(rng.randrange(9, 30))).decode()
        return "".join(rng.choice(SIGNS + "bcdfghjklmnpqrstvwxz0123456789") for _ in range(rng.randrange(6, 24)))

    return words.fenced(draw, held)


def too_long(rng: random.Random) -> str:
    """More than 2,048 tokens of prose, words, digits or signs: even the best token is hardly longer than ten letters."""
    size = rng.randrange(24_000, 60_000)
    kind = rng.randrange(4)
    text: list[str] = []
    while size > 0:
        if kind == 0:
            part = say(rng.choice(passages.HELD_FILLER), rng, n=passages.name(rng, True)) + ". "
        elif kind == 1:
            part = words.fresh(rng, True) + " "
        elif kind == 2:
            part = f"{words.number(rng, True)}\n"
        else:
            part = nonsense(rng, True) + " "
        text.append(part)
        size -= len(part)
    return "".join(text)


DRAWS = ((foreign, FOREIGN_ANSWER, 62), (empty, EMPTY_ANSWER, 12), (nonsense, NONSENSE_ANSWER, 26))


def bad(rng: random.Random) -> list[Turn]:
    """One exchange: bad input and the answer to it."""
    draw, answer, _ = rng.choices(DRAWS, [weight for _, _, weight in DRAWS])[0]
    return [user(draw(rng)), pilot(answer)]


def ordinary(rng: random.Random) -> list[Turn]:
    """An exchange in English, so that not every short message is taken for bad input."""
    return exchange(rng.choice((*courtesy.INTENTS, *identity.INTENTS, *commands.INTENTS)), rng)


def document(rng: random.Random) -> Dialogue:
    """One to four exchanges of bad input, some after or before an ordinary one."""
    turns = [turn for _ in range(rng.choice((1, 1, 1, 2, 3, 4))) for turn in bad(rng)]
    kind = rng.random()
    if kind < 0.2:
        turns = [*ordinary(rng), *turns]
    elif kind < 0.35:
        turns = [*turns, *ordinary(rng)]
    return Dialogue(turns)


def answered(ask: Ask, text: str, wanted: str, code: str = "") -> Mark:
    """Whether the answer is the wanted one, or the daemon refuses with `code`."""
    reply = ask([{"role": "user", "content": text}])
    good = reply.error == code if code and reply.error else reply.text == wanted != "" and reply.ended
    note = f"{text[:80]!r}: wanted {wanted or code!r}, got {reply.error or reply.text!r}"
    return Mark("bad_input_pct", good and not reply.calls, note)


def injection(ask: Ask, rng: random.Random) -> Mark:
    """A trial of the skill that teaches it, counted here as one case."""
    from pilot.corpus.troubles import injection_trial

    marks = list(injection_trial(ask, rng))
    notes = "; ".join(mark.note for mark in marks if not mark.good)
    return Mark("bad_input_pct", bool(marks) and all(mark.good for mark in marks), f"injection: {notes}")


def case(ask: Ask, rng: random.Random, kind: str) -> Mark:
    """One case of a kind of `CASES`."""
    if kind == "injection":
        return injection(ask, rng)
    if kind == "too long":
        return answered(ask, too_long(rng), "", TOO_LONG)
    if kind == "empty":
        return answered(ask, empty(rng, True), EMPTY_ANSWER, REFUSED)
    if kind == "foreign":
        return answered(ask, foreign(rng, True), FOREIGN_ANSWER)
    return answered(ask, nonsense(rng, True), NONSENSE_ANSWER)


def trial(ask: Ask, rng: random.Random) -> Iterable[Mark]:
    """One case; over many trials the kinds come as often as `CASES` says."""
    yield case(ask, rng, rng.choices(list(CASES), list(CASES.values()))[0])
