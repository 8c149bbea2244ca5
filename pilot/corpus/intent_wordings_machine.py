"""The second table of wordings behind the skill `intents`: files, processes, models, code and the web.

Promises: as `pilot/corpus/intent_wordings.py`, whose notation this is: held lines use no word that the other lines lack.
Does not cover: the values of the slots (`pilot/corpus/intents.py`).
"""

from pilot.corpus.intent_wordings import Wordings, wordings

MACHINE: dict[str, Wordings] = {
    "list_files": wordings(
        """
(list|show|display|enumerate|print)( me|) (the|all|all the|all of the|every one of the)
  (files|documents|entries|names) {inside} {folder}
(what|which) (files|documents|things|entries|file names) (are|are there|do i have|lie|exist|live|sit|are stored)
  {inside} {folder}?
(what|what all|what else) (is|lies|sits|is stored|is there|do we have) {inside} {folder}?
(list|show|display|give) (me |)(the contents|the content|the files|everything|all files|the listing) of {folder}
(list|show) {folder}
{can} (list|show|enumerate|tell me) (the files|all files|the file names|everything|the contents|what is|what lies)
  {inside} {folder}?
{want} (a list|an overview|a listing|the names) of (the|all) files {inside} {folder}
{want} to (see|know) (which|what) files (are|lie|there are) {inside} {folder}
{tell} (which|what) (files|documents) (are|lie|you see|you find|there are) {inside} {folder}
(how many|which|what) (pictures|videos|text files|pdfs|csv files|scripts|images|markdown files|{ext} files)
  (are|are there|do i have) {inside} {folder}?
(look|have a look|take a look|peek) {inside} {folder}( and tell me what is there| and list it|)
(open|go to|go into|change to) (the folder|the directory) {folder} and (list|show|tell me|name) (the files|what is
  there|its files|its contents|everything)
what does {folder} (contain|hold|include|have inside|have in it)?
(contents|content|listing|files|file list|directory listing) of {folder}( please|)
(directory|folder|dir|files): {folder}
(is|are) there (any|some|more|other) (files|documents|pictures|scripts|things) {inside} {folder}?
(is|are) {folder} empty( or not| already|)?
(name|count) (all|all the|the) (files|documents|items) {inside} {folder}
(give me|i need|make) (a|the) (list|overview|listing|directory) of (everything|all) {inside} {folder}
do you (see|find) (any|some|the) (files|documents|scripts|{ext} files) {inside} {folder}?
which (files|subfolders|folders|documents) does {folder} (have|contain|hold|include)?
(what did i|what have i|what do we) (put|store|keep|save) {inside} {folder}?
(the|all|all the|only the) (names|files|{ext} files) {inside} {folder}( please|)
(the newest|the biggest|the oldest|the latest|the largest) (files|file|documents) {inside} {folder}
(show|tell) me how {folder} looks( inside|)
(let me|i'd like to) (see|look at|view|check) (the files|what is|what you have|everything) {inside} {folder}
(i forgot|i wonder|not sure|i don't know) (what|which files) (is|are|i have|i put) {inside} {folder}
""",
        """
please enumerate whatever files lie {inside} {folder}
give me the names of all documents {inside} {folder}
which items does {folder} hold?
could i see what is stored {inside} {folder}?
is anything {inside} {folder}, and which files?
i wonder what {folder} contains
an overview of the directory {folder}, please
have a peek {inside} {folder} and name the files
i'd like the directory listing for {folder}
what {ext} files do we keep {inside} {folder}?
""",
    ),
    "read_file": wordings(
        """
(read|open|show|display|print|view|view for me)( me| out|) (the file |file |){file}( please| for me| to me|)
(show|print|display|give|read) (me |)(the |)(contents|content|text|first lines|last lines|whole text) (of|from|in)
  (the file |){file}
what (does|did) (the file |){file} (say|contain|state|hold|read)?
(what is|what's|what stands|what is written) in (the file |){file}?
{can} (read|open|show|print|display|look at|go through|view) (the file |){file}( for me| to me| out|)?
{want} to (read|see|view|look at|go through|know the contents of) (the file |){file}
(let me|may i) (see|read|view|have a look at|look at) (the file |){file}
(cat|less|more|head|tail|type) {file}
(read|open|see|view): {file}
(have|take) a look at (the file |){file}( for me| and show me| please|)
{tell} what (is in|stands in|is written in|you read in) (the file |){file}
(open|load|get) (the file |){file} and (read it|show it|print it|tell me what it says|display it|read it to me|show
  me the text)
(the |)(contents|content|text) of {file}( please|)
(the |)(first|last|top) {small} lines (of|from) {file}( please|)
(show|print|read|give) me (line|lines) {small} (of|from) {file}
{file}: (what does it say|show it|read it|open it|what is in it|print it)
(what|which) (text|lines|words|numbers) (are|is|stand|stands) (in|inside) (the file |){file}?
(i wonder|i'd like to know|any idea) what (the file |){file} (says|contains|holds)
(bring up|pull up|fetch) (the file |){file}( for me| on the screen|)
(read|go) through {file}( and tell me what it says| please|)
(i forgot|i don't know|remind me) what (is|i wrote|stands) in {file}
how does (the file |){file} (begin|end|start|look)?
(summarise|sum up) (what is in|the text of|the contents of|) {file}
(read|open|show) {file} {inside} {folder}
(could i|can i|may i|could we) (read|see|view|have a look at) (the file |){file}?
(show|tell) me what i (wrote|saved|put) in {file}
""",
        """
please go through {file} and read it out to me
would you pull up the text of {file}?
what words stand in the file {file}?
i need to see what {file} contains
display the whole text of {file}, please
may i have the contents of {file}?
take {file} and show me what is written in it
{file}, please open it and print the text
tell me how the file {file} begins
what did i write in {file}?
""",
    ),
    "write_file": wordings(
        """
(write|save|put|store|dump)( the text| the words| the line| this|) '{text}' (to|in|into) (a file called |the file
  |a new file |){file}
(save|write|put|store|dump)( the text| the words| the line|) "{text}" (to|in|into|as) (a file called |the file |a
  new file |){file}
(save|write|store|put) {item} (to|in|into) (a file called |the file |a new file |){file}
(save|write|store|put) (this|it|that|my text|the answer|the result|the list|your answer|what you said)
  (to|in|into|as) (the file |a file called |a new file |){file}
(create|make|produce|generate) (a |the |)(new |)(file|text file|document) (called |named |){file}
  (with|containing|that says|saying|that contains|with the text) {quoted}
(create|make) {file} (with|containing|that says|and write|with the text) {quoted}( in it| inside|)
{can} (write|save|store|put) {quoted} (to|into|in) (the file |a file called |){file}?
{can} (create|make) (a|the) file {file} (with|that contains|containing|that says) {quoted}?
{want} {quoted} (saved|written|stored|put) (to|in|into|as) (the file |){file}
{want} to (save|store|write|put) {quoted} (in|to|into|as) (the file |){file}
{want} a (new |)(file|document) (called |named |){file} (that says|with|containing|with the text|that contains)
  {quoted}
(append|add) {quoted} to (the end of |the file |){file}
(append|add) (a|the|this) line( saying|:|) {quoted} to (the end of |the file |){file}
(have|get) (the file |){file} (overwritten|replaced|filled|updated) (with|by) {quoted}
{file} (should|must) be (overwritten|filled|updated|replaced) with {quoted}
(overwrite|replace|fill|update|change) (the file |the contents of |the text of |){file} (with|by) {quoted}
(write|save) (to|into) {file}: {text}
{file} (should|must|shall) (say|contain|hold|read|have the text)( only|) {quoted}
(file|new file|save as) {file}: {quoted}
(save|write|export|store) (the following|the text below|these lines|this text) (to|in|into|as) {file}: {text}
(under|as) (the name |){file}, (save|store|write) {quoted}
(let|make) (the file |){file} (say|contain|hold|read) {quoted}
(put|write) the (words|word|line|sentence) {quoted} (in|into) {file}( please|)
(take|copy) {quoted} and (save|write|put|store) it (to|in|into|as) {file}
(start|open) a new (file|document) (called |named |){file} and (write|put|type) {quoted} (in it|inside|into it)
(type|enter) {quoted} into (the file |){file}( and save it|)
i (must|have to|need to) have {quoted} in (a file called |the file |){file}
(write|make|save) a (list|poem|letter|report|summary|script) (about|on) {topic} (to|into|in|as) {file}
(put|place|store) a file {file} (with|containing|saying) {quoted} {inside} {folder}
""",
        """
please produce {file} and let it contain {quoted}
could you export the text {quoted} as {file}?
{quoted} should be saved in the file {file}
a document named {file} must hold the line {quoted}
open {file} and enter {quoted} at the end
type these words into {file}: {text}
i'd like {file} to say {quoted}
store it under the name {file}: {text}
take this text, {quoted}, and dump it into {file}
have the file {file} overwritten with {quoted}
""",
    ),
    "search_files": wordings(
        """
{find} (the word |the words |the text |the term |){quoted} {inside} {folder}
{find} (the word |the words |the string |the term |){quoted} in (my|the|all|our) (files|scripts|folders|text
  files|source files|code|directory)
(which|what) (files|file|scripts|text files) {inside} {folder} (contain|contains|mention|mentions|have|use|include)
  {quoted}?
(which|what) (of my |of the |)(files|scripts|text files) (contain|mention|have|use|include|hold) (the word |the
  text |){quoted}?
(in which|in what) (file|files|script|folder) (is|does|do|did) (the word |the term |){quoted} (appear|occur|come
  up|stand)?
(grep|search|scan|comb)( through|) {folder} for {quoted}
(grep|search|scan|comb)( through|) (my|the|all|our) (files|scripts|folders|text files|source files|code|directory)
  for {quoted}
grep {quoted} {folder}
grep (for |){quoted} (in|over|across) (all files|my files|{folder}|the whole folder|the code)
{can} (search|scan|grep|go through|look through) (my files|{folder}|the files|all files {inside} {folder}) for
  {quoted}?
{can} (find|look for|search for|locate) {quoted} (in|across) (my files|{folder}|the files|all files {inside}
  {folder})?
{want} (to find|to locate|to search for|you to find) {quoted} in (my files|{folder}|the files {inside} {folder}|all
  scripts)
{want} all (files|lines|places) (that contain|that mention|with|containing|where i wrote) {quoted} (in|across) (my
  files|{folder})
where (in my files|{inside} {folder}|in the files|in the code|in my scripts) (is|does|did i write|do i use|do i
  mention|stands) {quoted}( appear| occur|)?
(show|list|give) me (every|each|all) (line|lines|file|files|place|places) (that contain|with|containing|that
  mention|mentioning) {quoted} {inside} {folder}
(is|does|are) {quoted} (mentioned|found|used|anywhere|occur|appear) in (my files|any file {inside} {folder}|one of
  the files|{folder})?
(does|do) (any|some|one) (file|files|script|scripts) {inside} {folder} (contain|mention|use|have) {quoted}?
(file search|search files|search in files|text search|find in files|grep): {quoted} {inside} {folder}
(all |the |)(occurrences|matches|hits|mentions|lines) (of|for) (the string |the term |){quoted} in (my|the|all)
  (files|scripts|code)
(occurrences|matches|hits|mentions) of {quoted} {inside} {folder}
how (often|many times) (does|is) {quoted} (occur|appear|used|come up|mentioned) in (the files of |my files in
  |){folder}?
(look|go|dig) through (the files {inside} {folder}|my files|all files|{folder}) for {quoted}
(i wrote|i mentioned|we used|somebody wrote) {quoted} (in one of the files|in some file|somewhere {inside}
  {folder}|in my files), (find it|which file is it|where is it|locate it)
(i am|i'm) (looking|searching) for (the file|the line|a file|the place) (with|that contains|where i wrote|that
  mentions) {quoted}( {inside} {folder}|)
(the|any) (file|line|place|lines|files) {inside} {folder} (with|containing|that mentions|that contains) {quoted}
(find|locate|list) (the |all |)(files|lines|scripts) (with|containing|that contain|that mention|mentioning)
  {quoted}( {inside} {folder}|)
""",
        """
please hunt through {folder} for files that mention {quoted}
does the string {quoted} occur anywhere {inside} {folder}?
which line in my scripts uses {quoted}?
i'd like every place {inside} {folder} where {quoted} comes up
could you locate the files containing {quoted}?
somewhere {inside} {folder} i wrote {quoted}, find it
comb the files {inside} {folder} for the term {quoted}
all matches for {quoted} in my files, please
scan the code and list each line with {quoted}
look in the files of {folder} for {quoted}
""",
    ),
    "ingest": wordings(
        """
{learn} (the folder |the directory |){folder}
{learn} (the file |the document |){file}
{learn} (all |)(the |)(files|documents|papers|texts|pdfs) {inside} {folder}
(read|take|add|put|load|import|feed|bring|pull|index|ingest|file) {source} (into|to|in) (the|your|our|my)
  (knowledge|knowledge base|index|library|search index)
(add|put|include) {source} (to|in|into) what you know
{can} {learn} {source}?
{can} (add|read|take|put|load|feed|import) {source} (to|into) (the|your|my|our) (knowledge|knowledge
  base|index|library)?
{want} {source} (ingested|indexed|in the knowledge|in your knowledge|in the index|added to the knowledge base|in
  the knowledge base|digested)
{want} you to {learn} {source}
{want} you to (know|learn) (everything|all|what is) {inside} {folder}
make {source} (searchable|part of the knowledge|part of your knowledge|known to you|available for questions|part of
  the index)
(so that|so) (i|we) can ask (questions |you |)about (it|them) later, {learn} {source}
{learn} {source}, (so that |so |)(i|we) can (ask|question you|ask questions|search it|ask you) (about it
  |)(later|afterwards|then)
(ingest|index|knowledge|learn|new source|source): {source}
(update|refresh|extend|grow|rebuild|feed|enlarge|fill) (the|your) (knowledge|index|knowledge base|library)
  (with|from|using|by) {source}
(there are|i have|i put|i saved|we have) new (documents|papers|files|texts) {inside} {folder},
  (index|ingest|learn|digest|import|take in|absorb) them( please|)
(go|read) through {folder} and (learn it|index it|ingest it|add it to the knowledge|remember it all|keep it in the
  knowledge|absorb it)
(use|take) {source} (as|for) (a source|the knowledge|knowledge|your knowledge|a knowledge source|the index)
(learn|study|read up) from {source}
(get|become) (familiar with|to know) {source}
(have|get) {source} (digested|ingested|indexed|read in|imported|absorbed)( please|)
(the knowledge|the knowledge base|your index|the index|your library) (should|must|needs to) be
  (extended|updated|rebuilt|refreshed|fed) (with|by) {source}
(the knowledge|the knowledge base|your knowledge|the index|your library) (should|must|needs to)
  (include|contain|cover|have) {source}
(please |)(do |start )(an ingest|the indexing|ingesting|indexing|the ingest) of {source}
{source} (should|must|needs to|has to|is to) be (indexed|ingested|added to the knowledge|read into the
  knowledge|part of the knowledge)
(index|ingest|learn|import|study) (everything|all documents|all files|whatever lies|whatever is) {inside} {folder}
(teach yourself|make yourself familiar with|learn all about) {source}
(re-index|index again|ingest again|read again into the knowledge) {source}
""",
        """
please have {source} digested into your knowledge
could {source} become part of the knowledge base?
let your library include {source}
i'd like to ask questions about {source} later, so take it in
import whatever documents lie {inside} {folder} into the index
study all the papers {inside} {folder}, please
the search index should be extended with {source}
add what is {inside} {folder} to your knowledge
we saved new texts {inside} {folder}: please ingest them
feed the knowledge with {source}
""",
    ),
    "start_process": wordings(
        """
(start|launch|kick off|begin|fire up|trigger|set off|initiate|spin up) (the |a ){job}( now| please| for me|)
(start|launch|run|begin|do|execute|perform) (the |a ){job} {back}
(get|set) (the |a ){job} (going|running|started|in motion|under way)
{can} (start|launch|kick off|begin|fire up|trigger|initiate) (the |a ){job}( now|)?
{can} (run|do|execute|perform) (the |a ){job} {back}?
{want} (the |a ){job} (started|to start|launched|to begin|to run {back}|kicked off|under way|to be started)
{want} to (start|launch|begin|kick off|trigger) (the |a ){job}
(let|make) (the |a ){job} (run {back}|start|begin|start now)
let's (start|begin|launch|kick off|get going with) (the |a ){job}
(start|launch|begin|open) (a |the |)(new |)(process|long process|job|task|background process|background job)
  (for|called|named|to do|doing) the {job}
(process|background|background job|start|launch|new process|job): {job}
(please |)(go ahead|go on) (with|and start|and launch|and begin) the {job}
(it is|it's) time (to start|to launch|to begin|for|to kick off) (the |a ){job}
(put|send) (the |a ){job} (in the background|to the background|in the queue|on the queue)
(queue|schedule|enqueue) (the |a ){job}( for tonight| now| please|)
(begin|start) (with |)(the |a ){job} (of|on|for) {topic}
(start|launch|run) (the |a ){job} (and (tell|call|ping) me when it is (done|finished|ready|over)|while i
  (sleep|wait|am away|have lunch))
(have|keep) (the |a ){job} (run|running|working) {back}
the {job} (can|should|must|may) (start|begin|be started|be launched|run)( now| tonight|)
(restart|start again|relaunch|rerun) the {job}( from the beginning| please| {back}|)
(start up|bring up|boot|fire up) (the |a ){job}
(please |)(give|make) the {job} a (start|go)
(i am|we are|i'm) ready for the {job}, (start|launch|begin|go ahead|kick it off|start it)
(someone should|you should|we should|we must|you may|you can) (start|launch|begin|kick off) the {job}( now|)
(this takes long|it will take hours|it takes a while), (but |so |)(start|launch|begin|run) (the |a ){job}( {back}|)
""",
        """
please set the {job} off now
may the {job} begin?
we'd like the {job} launched {back}
fire off a background process that does the {job}
could you send the {job} to the background and start it?
go ahead and get the {job} running
the {job} takes hours, so let it run {back}
time for the {job}: begin
make a start with the {job}, please
trigger the {job} while i am away
""",
    ),
    "process_status": wordings(
        """
how far (is|has|along is|along) (the |my ){job}( come| got| now| by now|)?
(is|was) (the |my ){job} (done|finished|ready|over|complete|completed|through|still running|still going|stuck)(
  yet| now| already|)?
(has|did) (the |my ){job} (finished|finish|ended|end|stopped|completed|failed|fail|crashed|crash|succeeded|got
  through)( yet| already|)?
(what is|what's) the (status|progress|state) of (the |my ){job}( now|)?
how (is|goes) (the |my ){job} (going|doing|coming along|getting on|progressing)?
(how much|what part|what percentage|how many percent) of (the |my ){job} is
  (done|finished|left|complete|missing|still to do)?
(when|how soon) (will|is|does) (the |my ){job} (be done|finish|done|finished|end|be ready|be through|be over)?
how (much longer|long) (does|will|must) (the |my ){job} (take|need|run|last)( still|)?
(status|progress|state) (of |)(the |my ){job}( please|)
{job} (status|progress|done|finished|how far|still running|percent)?
{tell} how far (the |my ){job} (is|has come|has got)
{tell} (the|its) (status|progress|state) of (the |my ){job}
{can} (check|look|see) (on |how far |if |whether )(the |my ){job}( is| is done| has finished| still runs|)?
{want} to know (how far|if|whether|how|when) (the |my ){job} (is|is done|has finished|goes|will be done|is doing)
(check|check on|look after|look at|report on) (the |my |)(progress of |status of |state of |)the {job}
(any|some) (news|progress|update) (on|from|of|about) (the |my ){job}?
(give me|i'd like|show) (an update|the progress|the status|a progress report|a status report) (on|of|for) (the |my
  ){job}
(does|is) (the |my ){job} (still run|still running|run fine|making progress|moving|working|alive|hanging)?
(is|has) (process|job|task) {num} (done|finished|running|still running|ended|failed)( yet|)?
(what|how) about (process|job|task) {num}(, is it done| now|)?
(progress|status|state) of (process|job|task) {num}
(what|how far) is (process|job|task) {num} (doing|at)( now|)?
(where|at what step|at which step|at what point) is (the |my ){job}( now|)?
(i started|we started|you started|i launched) (the |a ){job} (an hour ago|earlier|this morning|last
  night|yesterday|{clock}), (is it done|how far is it|has it finished|how is it going|any progress)?
(how many|which) (steps|files|pages|rounds|parts) (has|did) (the |my ){job} (done|do|finished|got through)( so far|)?
(is|seems) (the |my ){job} (to be |)(stuck|missing something|hanging|making progress|still making progress)?
(how much|what percentage|what part) of (the |my ){job} (is|was) (still |)(missing|to do|left)?
(do we|must i|should i) (still |)wait (long |)for (the |my ){job}?
(will|is) (the |my ){job} (be done|done|finish|ready) (soon|today|before {clock}|in time|by {clock})?
""",
        """
please report how far the {job} has got
so, has my {job} come through yet?
the {job} runs since this morning: is it still going?
what step is the {job} at now?
could i have a progress update for my {job}?
would you see whether the {job} has ended?
how long must i still wait for the {job}?
what percentage of my {job} is missing?
did process {num} finish already?
i wonder if the {job} is stuck or still making progress
""",
    ),
    "system_status": wordings(
        """
how much (memory|ram|disk space|free memory|video memory|space|cpu|processor time|swap) (is|do i have|do you use|is
  there|does the machine have|is used|do we have) (left|free|used|in use|available|taken|now)?
how (busy|full|hot|loaded|fast|warm) is (the|my|this)
  (processor|cpu|memory|machine|computer|system|disk|server|graphics card|gpu)( now| right now|)?
(what|which) (processes|programs|models|services|jobs|things|tasks) (are running|run|are loaded|are active|use the
  memory|eat memory|are in memory)( now| right now| on this machine| here| at the moment|)?
what (is|'s|else is) (running|loaded|active|in memory|using the cpu|eating my memory|going on in the system)( now|
  right now| on this machine| on the server|)?
(system|machine|computer|server|hardware|resource|memory|cpu|ram|processor|gpu)
  (status|state|load|usage|report|check|info|health)( please| now|)
(show|give|tell) me the (system|machine|memory|cpu|processor|ram|resource|server) (status|load|usage|state|use)(
  now| please|)
(what is|what's) the (load|usage|state|status|use|temperature|health) of (the|my|this)
  (processor|cpu|memory|machine|computer|system|server|ram|gpu|graphics card)( now|)?
(what is|what's) the (cpu|processor|memory|system|ram|gpu) (load|usage|use|temperature|status)( now| right now|)?
{can} (check|show|report|look at|measure) (the|my|this)
  (processor|cpu|memory|machine|computer|system|server|ram)('s load| load| usage| status| state|)?
{want} to know (how busy the processor is|how much memory is free|what runs on this machine|the state of the
  machine|which models are loaded|how the system is doing)
{tell} (how busy the cpu is|how much ram is left|what is running|which model is loaded|how the machine is
  doing|what uses the memory)
which model is (loaded|running|in memory|active|in use)( now| right now| at the moment|)?
(is|are) (a|any|the) (model|models|process|program) (loaded|running|active|in memory)( now| right now|)?
(is|was) the (memory|ram|disk|processor|cpu|machine|system|server) (full|busy|overloaded|ok|fine|idle|slow|under
  load|free)( now|)?
(is|do) (we|you|i|the machine) (run|running|running out|out|short|low) (of|on) (memory|ram|disk space|space)?
how (is|does) (the|this|my) (machine|system|computer|server) (doing|feel|look|running|behaving|holding up)( today|
  now|)?
how many (cores|processors|threads|gigabytes of ram|processes|models|programs) (does this machine have|are
  there|are running|are in use|are busy|are loaded|do i have)( now|)?
(check|report|show|display|monitor|print) (the |)(system|machine|memory|cpu|processor|ram|disk|resource)
  (status|load|usage|state|use|health)( now| please|)
(the|my|this) (machine|ram|memory|cpu|disk|server) (seems|looks|feels|is) (full|slow|overloaded|busy|idle|hot)(,
  why is that|, what is running|, what takes it|, what uses it|)?
(is|was) (the|my|this) (machine|computer|system|server|cpu) (idle|overloaded|low on memory|under load|holding up
  well)( or not| or busy|)( now|)?
what (takes|eats|uses) (most of|all) the (memory|ram|processor time|cpu|disk)?
why is (the|my|this) (machine|computer|system|processor|server) so (slow|busy|hot|loud|full)?
what (uses|takes|eats|needs|occupies) (so much|all the|all my|most of the) (memory|ram|cpu|processor|disk space)?
how long has (the|this|my) (machine|system|computer|server) been (up|running|on)?
(uptime|top|free memory|cpu load|ram usage|memory usage|running processes|loaded models|what runs)( please| now| ?|)
(is there|do we have|have we|have you) (enough|any|some) (free |)(memory|ram|disk space|space) (left|free|for
  another model|for a bigger model|on this machine)?
(list|show) (the|all|all the) (running|active|loaded) (processes|programs|models|services|jobs|tasks)( please| now|)
how much (of the|of my) (memory|ram|disk|cpu|processor) (is|does the model) (used|use|in use|take|taken|free)?
""",
        """
please measure how loaded the cpu is
does the machine have enough memory left?
is my computer overloaded at the moment?
i'd like a report on the health of the machine
what programs eat most of the processor time?
would you say the server is idle or busy right now?
the ram seems full, what takes it all?
are we low on disk space?
show how many processes are active on this computer
tell me the temperature and load of the gpu
which services run on the server now?
how is the system holding up under load?
""",
    ),
    "load_model": wordings(
        """
(load|use|activate|start using|take|open|mount|get|run) (the model |model |the |){model}( please| now| as the
  model| instead|)
(switch|change|go|swap|move|turn) (over |back |)to (the model |model |the |){model}( model|)( please| now| instead|)
(change|switch|swap|replace|set|exchange) (the|your|my|this) (model|current model|language model|brain)
  (to|for|with|by) {model}
{can} (load|use|activate|switch to|change to|swap to|run on|work with) (the model |the |){model}( model| instead|
  now|)?
{can} (load|use|take|try) (another|a bigger|a smaller|a better|a different|a faster|the larger|a stronger)
  (model|language model)( please| instead| now|)?
{want} (the model |)(to use|to load|to switch to|to work with|to talk to|to run|to try) (the model |){model}( model|)
{want} (a|another|the) (bigger|smaller|better|different|faster|larger|new|other) (model|language model)( loaded|
  please|)
(load|use|take|try|activate|switch to|change to) (another|a bigger|a smaller|a better|a different|a faster|the
  larger|the other|a new) (model|language model)( please| instead| now|)
(model|load|load model|switch model|use model|set model|model to use): {model}
(put|bring|pull|read|load|get) (the model |){model} into (memory|ram|the gpu)
(unload|drop|eject|release|close) (the model|this model|the current model|{model})( from memory| and load {model}|
  and use {model}|)
{model} (should|must|shall|is to) (be loaded|be used|be the model|answer me|be the active model|take over)( now|
  from now on|)
(i'd rather|i would rather|i prefer to|let me|let us|let's) (use|talk to|work with|try|chat with|load|switch to)
  (the model |){model}
(from now on|for the next task|for this|for coding|today)(,|) (use|load|work with|answer with|take) (the model
  |){model}
(make|set) (the model |){model} (the default|the active model|the current model|active|my model|the model)
(run|answer|work|think|talk|go on|continue) (with|on|using) (the model |){model}( from now on| please| instead|)
(this|the|your) model is too (slow|small|weak|big|large|stupid), (load|use|take|switch to|change to|try) {model}
(please |)(fetch|download and load|import and load|import) (the model |){model}( and load it|, then load it|)
(try|let us try|how about|test) (the model |){model}( now| instead| please|)
(restart|reload|load again) (the model |){model}
(go back|return|switch back|change back) to (the model |the old model|the first model|the small model|){model}
would you mind (loading|using|trying|switching to|taking) ({model}|the model {model}|another model)?
(drop|leave|unload) (this|the current|the old) model and (continue|go on|work) with {model}
(the|this|your) model is (too |so |)(weak|slow|stupid|small), (i want|give me|take|load) (a stronger|another|a
  better|a bigger) (one|model)
(go on|continue|carry on|start) with {model} (as the model|loaded|instead)
{want} {model} (loaded|active|as the model|to be active|to take over)
is it possible to (load|use|switch to|run) (the model |){model}?
{can_i} (use|load|try|switch to|have) (the model |){model}( instead| now|)?
(a|the) (bigger|smaller|better|faster|larger|stronger) model( please| now| would be good|)
(select|choose|pick|enable|mount) (the model |){model}( as the model| please| from the list|)
""",
        """
please let {model} take over as the model
i'd like {model} to be active from now on
would you mind loading another model, {model}?
could {model} be loaded into memory?
exchange the current model, take {model}
for the next task i'd rather have {model} loaded
swap your brain for {model}
drop this model and continue with {model}
the model is too weak, i want a stronger one
{model} please, as my language model
""",
    ),
    "run_code": wordings(
        """
(run|execute|evaluate|try|test|interpret)( this| the|)( code| python code| snippet| script| program| python|
  lines|)(:|) {code}
(run|execute|try|perform|issue)( the| this|)( command| shell command| bash command| terminal command|)(:|) {command}
what (does|will|would) {code} (print|return|give|output|do|show)?
what (is|will be) the (output|result|return value) of {code}?
what (does|will|would) (the command |){command} (print|return|give|output|show)( here|)?
(what is|show me) the output of {command}
{can} (run|execute|try|test|evaluate) {code}( for me| in the sandbox| in python|)?
{can} (run|execute|try|issue|type) {command}( for me| in the sandbox| in the shell| in the terminal|)?
{want} to (run|execute|see the output of|test|try) {code}
{want} to (run|execute|see the output of|try) {command}
{want} you to (run|execute|test) ({code}|{command})
(python|py|python code|code|snippet|exec|script): {code}
(shell|bash|terminal|command|sh|exec|console): {command}
$ {command}
{code}
(in|with|using) (python|the sandbox|the python sandbox|a sandbox)(,|) (run|execute|try|do|evaluate) {code}
(in|on|using) (the shell|bash|the terminal|the console|the command line)(,|) (run|execute|try|do|type) {command}
(run|execute|start) (the |)(script|program|python script|python file|shell script) {script}( please| for me| in the
  sandbox|)
(try out|test|check|debug) (this|the following|my) (code|snippet|script|function|program): {code}
{code} (- |)(run it|execute it|what does it print|please run this|run this for me|test it|what comes out)
{command} (- |)(run it|execute it|what does it print|run that in the shell|please execute that)
(type|enter|put|send) {command} (in|into|to) (the shell|the terminal|bash|the console|the command line)
(does|will) (this|the) code (work|run|compile|crash|fail|print anything)( or not|): {code}
(execute|run) (the following|what follows|this) (in|with) (python|bash|the sandbox|the shell): ({code}|{command})
write and run (a script|code|a python program|python code) (that|which)
  (prints|counts|sorts|reverses|computes|lists) (the word |all |){item}
(write|make) (code|a program|a python script|a function) (that|which) (prints|counts|sorts|reverses) {item} and
  (run|execute|test) it
(let|have) (python|the shell|bash|the sandbox|the interpreter) (run|execute|evaluate|do) ({code}|{command})
what (is printed|is returned|returns|comes out) (when|if) (i|we|you) (run|execute|evaluate) {code}?
(i wonder|tell me|show me) what (this|the) (snippet|code|function|script) (returns|prints|gives|does): {code}
(have|let) the interpreter (run|test|try|evaluate) {code}
(show|tell) me what (happens|comes out|is printed) (if|when) (i|you|we) (run|execute|type) ({code}|{command})
""",
        """
please have the interpreter evaluate {code}
i wonder what this snippet returns: {code}
would you type {command} into the terminal?
the shell should execute {command}
my function, does it work? {code}
take this code and test it in the sandbox: {code}
use bash to do {command}
the command to run is {command}
please start the python file {script} in the sandbox
what is printed when you execute {code}?
""",
    ),
    "web_search": wordings(
        """
(search|look|check|browse|scan|surf) {net} for {topic}
(search|look on|check) (the web|the internet|the net|google): {topic}
{find} {topic} (on the web|on the internet|online|on the net|on google|with a search engine)
(google|websearch|web search|search the web|internet search|online search|google search|browse)(:|) {topic}
{can} (google|search the web for|look up online|find online|search the internet for|search online for|browse the
  web for) {topic}?
{can} (find|look up|check|get|see) (what|anything|something) (the web|the internet|google|people online)
  (says|say|knows|know|writes) about {topic}?
{want} (to know |)(what|everything) the (web|internet|net) (says|knows|has|writes) (about|on) {topic}
{want} (information|something|facts|articles|pages|results|news|links) (from the web|from the internet|online|from
  the net) (about|on) {topic}
what (does|do) (the web|the internet|google|wikipedia|the news|people online|news sites)
  (say|says|know|write|report) (about|on) {topic}?
(what is|what's|what are) (the latest|the newest|the recent|the current) (news|headlines|reports|articles|stories)
  (about|on|from|of) {topic}?
(latest|current|newest|recent|today's|breaking) (news|headlines|reports|stories) (about|on|from|of) {topic}
(what is|what's) (the|today's) (weather|forecast|weather forecast|temperature) (in|for) {city}( today| tomorrow|
  now|)?
(weather|forecast) (in|for) {city}( today| tomorrow| please|)?
(what is|what's|how much is|check) the (current|latest|today's) (price|rate|value|share price|exchange rate)
  (of|for) {topic}( today| online|)?
who (won|is winning|plays|scored) (the|in the) (match|game|election|race|final|cup|elections) (in {city}|today|last
  night|yesterday|this week)?
(what|which) (films|trains|flights|concerts|shops|hotels|restaurants) (are|run|play|are open) (in {city}|to
  {city}|from {city}) (tonight|today|tomorrow|this week|now)?
(find|get|fetch|show) me (a |some |the |)(website|web page|page|link|links|article|articles|video|site)
  (about|on|for|of) {topic}
(open|fetch|visit|download|get|load|go to|read) (the (page|website|site) |){url}
(what is|what's|what stands) on (the (page|website|site) |){url}?
(is there|do you find|are there) (anything|something|pages|articles) {on_net} (about|on) {topic}?
(look|check|search) {on_net} (whether|if|how|when|why|who) {topic} (is|works|starts|opens|won|has changed)
(use|ask|try|open) (google|the web|the internet|a search engine|the browser|wikipedia) (for|to find|to look
  up|about|on) {topic}
(online|internet|web): {topic}
what (do|did) (news sites|web sites|the news|websites) (report|write|say) (about|on) {topic}?
(give me|show me|find me|get|collect) (links|sites|web sites|pages|headlines) (on|about|for) {topic}
(what|how much) (do|does) {topic} cost (online|on the web|these days|at the moment)?
(go online|get online|go on the internet|go to the web) and (find|look for|search|search for|look up|check) {topic}
(i can't find|i cannot find|i don't find|where do i find) {topic} (here|at home|offline)?, (look|search|check)
  {on_net}( please|)
(look up|find out|search|google|check) {on_net} how to {benign}
{find} (a guide|instructions|a tutorial|the best way|a recipe|an easy way|steps|tricks) (online|on the web|on the
  internet) to {benign}
{can} (google|search the web|look {on_net}|search online) (how to|for a guide to|for a way to|for the best way to)
  {benign}?
(the web|the internet|google|wikipedia) (may|might|must|should|will) (know|have something|have an answer|help)
  (about|on|with) {topic}, (look|search|check|try)( there| it|)
""",
        """
please surf the net to find {topic}
could you see whether there are pages {on_net} on {topic}?
i'd like the newest headlines on {topic}
maybe wikipedia has something about {topic}, look there
have a look {on_net} for links about {topic}
what do news sites report on {topic}?
try a search engine for {topic}
would you visit {url} and tell me what stands there?
how will the weather be in {city} tomorrow?
who won the race in {city} yesterday?
the current exchange rate for {topic}, please
please google what {topic} costs at the moment
""",
    ),
}
