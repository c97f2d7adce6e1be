from collections import Counter
from tests.contracts import gas_cases
def tr(chain, h):
    r=chain.provider.make_request("debug_traceTransaction",[h,{"disableStorage":True,"disableMemory":True,"disableStack":True}])
    c=Counter(); g=Counter()
    for l in r["structLogs"]:
        c[l["op"]]+=1; g[l["op"]]+=l["gasCost"]
    print(int(str(r.get("gas",0)),0) if not isinstance(r.get("gas"),int) else r["gas"], [(o,c[o],n) for o,n in g.most_common(22)], sum(c.values()))
def test_tr(joined,nodes,chain):
    a=joined
    a.open()
    rs=a.commit(*nodes); print("newseat"); tr(chain, rs[0].txn_hash); 
    rs=a.reveal(*nodes); print("reveal"); tr(chain, rs[0].txn_hash)
    a.pass_to("Void"); a.open(); rs=a.commit(*nodes); print("commit"); tr(chain, rs[0].txn_hash)
