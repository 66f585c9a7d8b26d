package kube

import (
	"bytes"
	"reflect"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"

	"github.com/libresh/libre/internal/describe"
	"github.com/libresh/libre/internal/kit"
)

// objects returns the objects of a type, by name.
func objects[T any](t *testing.T, files []kit.File) map[string]T {
	t.Helper()
	all := map[string]T{}
	for _, file := range files {
		if o, is := decode(t, file).(T); is {
			all[strings.TrimSuffix(file.Name[strings.Index(file.Name, "-")+1:], ".yaml")] = o
		}
	}
	return all
}

func TestPoliciesDenyWhatTheyDoNotName(t *testing.T) {
	a := app(t, "files")
	r := everything(a)
	r.kube.IngressNamespace = "ingress"
	policies := objects[*networkingv1.NetworkPolicy](t, plain(t, a, r))
	own := policies["files"]
	if len(own.Spec.PolicyTypes) != 2 || len(own.Spec.Egress) != 2 || own.Spec.Egress[1].Ports[0].Port.IntValue() != 53 {
		t.Errorf("of all pods: %+v", own.Spec)
	}
	for name, want := range map[string]struct {
		pods, from, ports string
	}{
		"files-server-routes":     {"server", "ingress", "http"},
		"files-thumbnails-routes": {"thumbnails", "ingress", "http"},
		"files-server-public":     {"server", "", "ssh"},
	} {
		policy := policies[name]
		if policy == nil {
			t.Errorf("no policy %s", name)
			continue
		}
		rule := policy.Spec.Ingress[0]
		from := ""
		if len(rule.From) > 0 {
			from = rule.From[0].NamespaceSelector.MatchLabels["kubernetes.io/metadata.name"]
		}
		if policy.Spec.PodSelector.MatchLabels["app.kubernetes.io/component"] != want.pods || from != want.from || rule.Ports[0].Port.StrVal != want.ports {
			t.Errorf("%s: %+v", name, policy.Spec)
		}
	}
	if len(policies) != 6 {
		t.Errorf("%d policies, want 6", len(policies))
	}
	redis := policies["files-to-redis"].Spec
	if users := redis.PodSelector.MatchExpressions[0].Values; len(users) != 5 || redis.Egress[0].To != nil || redis.Egress[0].Ports[0].Port.IntValue() != 6379 {
		t.Errorf("to Redis: %+v", redis)
	}
	docs := policies["files-to-docs"].Spec.Egress[0]
	if docs.To[0].PodSelector.MatchLabels["app.kubernetes.io/name"] != "docs" || docs.Ports[0].Port.StrVal != "http" {
		t.Errorf("to the app: %+v", docs)
	}
}

func TestRoutesReachServicesThatAreUsed(t *testing.T) {
	a := app(t, "files")
	a.Spec.Routes["/later"] = describe.Route{Service: "absent"}
	got := objects[*networkingv1.Ingress](t, plain(t, a, everything(a)))["files"]
	var paths []string
	for _, path := range got.Spec.Rules[0].HTTP.Paths {
		paths = append(paths, path.Path+" "+path.Backend.Service.Name+" "+path.Backend.Service.Port.Name)
	}
	if want := []string{"/ files-server http", "/thumbnails files-thumbnails http"}; !reflect.DeepEqual(paths, want) {
		t.Errorf("%q, want %q", paths, want)
	}
	if got.Spec.TLS[0].SecretName != "files-tls" || got.Spec.Rules[0].Host != "app.example.org" {
		t.Errorf("%+v", got.Spec)
	}
	a.Spec.Routes = nil
	if none := objects[*networkingv1.Ingress](t, plain(t, a, everything(a))); len(none) != 0 {
		t.Errorf("an app without routes has %v", none)
	}
}

func TestVolumesAreClaimsOrEmptyFolders(t *testing.T) {
	a := app(t, "files")
	files := plain(t, a, everything(a))
	claims := objects[*corev1.PersistentVolumeClaim](t, files)
	for name, want := range map[string]string{"files-data": "ReadWriteOnce 10Gi", "files-shared": "ReadWriteMany 1Gi", "files-models": "ReadOnlyMany 2Gi"} {
		spec := claims[name].Spec
		if got := string(spec.AccessModes[0]) + " " + spec.Resources.Requests.Storage().String(); got != want {
			t.Errorf("%s is %s, want %s", name, got, want)
		}
	}
	mounts := func(pod corev1.PodSpec) string {
		var all []string
		sources := map[string]string{}
		for _, v := range pod.Volumes {
			sources[v.Name] = "empty"
			if v.PersistentVolumeClaim != nil {
				sources[v.Name] = v.PersistentVolumeClaim.ClaimName
			}
		}
		for _, m := range pod.Containers[0].VolumeMounts {
			all = append(all, m.MountPath+"="+sources[m.Name])
		}
		return strings.Join(all, " ")
	}
	server := objects[*appsv1.StatefulSet](t, files)["files-server"].Spec
	if got, want := mounts(server.Template.Spec), "/cache=empty /data=files-data /data/run=empty /tmp=empty"; got != want {
		t.Errorf("the server mounts %s, want %s", got, want)
	}
	if security := server.Template.Spec.SecurityContext; *security.FSGroup != 2000 || *server.Replicas != 1 {
		t.Errorf("group %d, %d replicas", *security.FSGroup, *server.Replicas)
	}
	thumbnails := objects[*appsv1.Deployment](t, files)["files-thumbnails"].Spec
	if got, want := mounts(thumbnails.Template.Spec), "/models=files-models /shared=files-shared"; got != want {
		t.Errorf("thumbnails mounts %s, want %s", got, want)
	}
	if security := thumbnails.Template.Spec.SecurityContext; *security.FSGroup != 1000 || !thumbnails.Template.Spec.Containers[0].VolumeMounts[0].ReadOnly {
		t.Errorf("group %d, or the models can be written", *security.FSGroup)
	}
	c := a.Spec.Components["server"]
	s := c.Services["server"]
	s.Replicas = 2
	c.Services["server"] = s
	if _, err := everything(a).plain(a); err == nil || !strings.HasPrefix(err.Error(), "service server has 2 replicas, and its volume data is ReadWriteOnce: set replicas = 1") {
		t.Errorf("two replicas at one volume: %v", err)
	}
}

// Each folder lists its own objects, in order, and not the list of Secrets.
func TestKustomizationsListTheirFolders(t *testing.T) {
	a := app(t, "files")
	files := plain(t, a, everything(a))
	all, err := Kustomizations(files)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, file := range all {
		names = append(names, file.Name)
		if bytes.Contains(file.Content, []byte(secretsName)) {
			t.Errorf("%s lists %s", file.Name, secretsName)
		}
	}
	if want := []string{"kustomization.yaml", "first-install/kustomization.yaml", "before-upgrade/kustomization.yaml"}; !reflect.DeepEqual(names, want) {
		t.Errorf("%q, want %q", names, want)
	}
	listed := 0
	for _, file := range all {
		listed += bytes.Count(file.Content, []byte("  - "))
	}
	if listed != len(files)-1 {
		t.Errorf("%d objects are listed, of %d", listed, len(files)-1)
	}
}

func TestNamesThatKubernetesDoesNotHaveAreRefused(t *testing.T) {
	for _, c := range []struct {
		o    Options
		want string
	}{
		{Options{Namespace: "My_Apps"}, `--namespace "My_Apps", expected the name of a namespace`},
		{Options{Namespace: "-a"}, "--namespace"},
		{Options{IngressNamespace: "a.b"}, "--ingress-namespace"},
		{Options{IngressNamespace: strings.Repeat("a", 64)}, "--ingress-namespace"},
		{Options{Gateway: "public"}, `--gateway "public", expected NAMESPACE/NAME`},
		{Options{Gateway: "a/b/c"}, "--gateway"},
		{Options{Gateway: "a/"}, "--gateway"},
	} {
		if _, err := (run{kube: c.o}).plain(app(t, "guestbook")); err == nil || !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("%+v: %v, want %s", c.o, err, c.want)
		}
	}
}
