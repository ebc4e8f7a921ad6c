import sys,time,json
sys.path[:0]=['tests','src']
from support.kube_api import *; from support.cluster_fixtures import *; from support.knative_service import Services
from support.machine_image import push_machine_image
api=KubeApi('/root/.cache/skerry-cluster/run/kubeconfig'); ns=make_namespace(api); img=push_machine_image('10.99.0.1:5000')
c=TestCluster(kubeconfig=None,api=api,registry='10.99.0.1:5000',is_real=False)
st=KnativeStandIn(api,ns).start()
k=Knative(cluster=c,namespace=ns,ingress=st.address,stand_in=st); s=Services(k,img)
s.apply('greet'); time.sleep(12)
for kind in ('ksvc','revisions','deployments','pods'):
    for i in api.list(kind,ns): print(kind,json.dumps(i['status'])[:1500])
print(st.errors[:1]); st.stop(); drop_namespace(api,ns)
