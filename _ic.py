import cProfile, pstats, sys
from homefire.knowledge import ingest_child
p=cProfile.Profile(); 
import os
os.environ['PROFX']='1'
orig=ingest_child.Run.run
def run(self):
    p.enable(); orig(self); p.disable()
    with open('/tmp/bt/ic.txt','a') as f: pstats.Stats(p,stream=f).sort_stats('tottime').print_stats(22)
ingest_child.Run.run=run
ingest_child.main()
