package kube

import (
	"reflect"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"

	"github.com/libresh/libre/internal/describe"
)

// Docs has routes that an Ingress cannot express. From outside, all requests reach the router
// and nothing else.
func TestRouterPassesRequestsOn(t *testing.T) {
	files := plain(t, ownApps(t)["docs/default"], run{kube: Options{IngressNamespace: "ingress"}})
	ingress := objects[*networkingv1.Ingress](t, files)["docs"]
	if paths := ingress.Spec.Rules[0].HTTP.Paths; len(paths) != 1 || paths[0].Path != "/" || paths[0].Backend.Service.Name != "docs-router" {
		t.Errorf("the Ingress has %+v", paths)
	}
	if got := ingress.Annotations["nginx.ingress.kubernetes.io/proxy-read-timeout"]; got != "86400" {
		t.Errorf("a WebSocket may be idle for %s s", got)
	}
	pod := objects[*appsv1.Deployment](t, files)["docs-router"].Spec.Template.Spec
	if why := restricted(t, corev1.PodTemplateSpec{Spec: pod}); why != "" {
		t.Error(why)
	}
	config := ""
	for _, v := range pod.Volumes {
		if v.ConfigMap != nil {
			config = v.ConfigMap.Name
		}
	}
	configs := objects[*corev1.ConfigMap](t, files)
	if configs[config] == nil || !strings.HasPrefix(config, "docs-router-") {
		t.Fatalf("the router mounts %q of %v", config, configs)
	}
	text := configs[config].Data["Caddyfile"]
	services := objects[*corev1.Service](t, files)
	if replicas := services["docs-y-provider-replicas"]; replicas == nil || replicas.Spec.ClusterIP != "None" || !strings.Contains(text, "docs-y-provider-replicas") {
		t.Errorf("the replicas have %+v", replicas)
	}
	var env []string
	for _, v := range pod.Containers[0].Env {
		env = append(env, v.Name+"="+v.ValueFrom.SecretKeyRef.Name+"/"+v.ValueFrom.SecretKeyRef.Key)
	}
	if want := []string{"LIBRE_BUCKET_ENDPOINT=docs-bucket/endpoint", "LIBRE_BUCKET_NAME=docs-bucket/name"}; !reflect.DeepEqual(env, want) {
		t.Errorf("the router has %q, want %q", env, want)
	}
	policies := objects[*networkingv1.NetworkPolicy](t, files)
	for name, policy := range policies {
		if strings.HasSuffix(name, "-routes") != (name == "docs-router-routes") {
			t.Errorf("%s allows %+v", name, policy.Spec)
		}
	}
	if users := policies["docs-to-bucket"].Spec.PodSelector.MatchExpressions[0].Values; !strings.Contains(strings.Join(users, " "), "router") {
		t.Errorf("only %q reach the bucket", users)
	}
}

// A changed Caddyfile has another name, so that the pods start again.
func TestRouterStartsAgainWithAnotherConfiguration(t *testing.T) {
	names := map[string]bool{}
	for _, timeout := range []int{1, 2, 3} {
		a := app(t, "guestbook")
		a.Spec.Routes["/api"] = describe.Route{Service: "web", Timeout: timeout}
		for name := range objects[*corev1.ConfigMap](t, plain(t, a, run{})) {
			names[name] = true
		}
	}
	if len(names) != 3 {
		t.Errorf("the names %v", names)
	}
}

func TestRouterThatCannotBeIsRefused(t *testing.T) {
	sticky := app(t, "guestbook")
	sticky.Spec.Routes["/api"] = describe.Route{Service: "web", Sticky: &describe.Sticky{Query: "room"}}
	taken := app(t, "guestbook")
	taken.Spec.Routes = sticky.Spec.Routes
	taken.Spec.Components["frontend"].Services["router"] = describe.Service{Ports: []string{"http"}}
	unbuilt := caddy()
	server := unbuilt.Spec.Components["server"]
	server.Image = &describe.Image{Reference: "caddy-server-default:2.11.9-1"}
	unbuilt.Spec.Components["server"] = server
	for _, c := range []struct {
		app, caddy *describe.Application
		want       string
	}{
		{taken, caddy(), "guestbook has a service router, which is what its router is called: name the service otherwise"},
		{sticky, app(t, "guestbook"), "guestbook cannot be a router: it has no component server"},
		{sticky, unbuilt, "the image of caddy/server has no digest: build it first, by libre build caddy"},
	} {
		if _, err := (run{kube: Options{Router: c.caddy}}).plain(c.app); err == nil || err.Error() != c.want {
			t.Errorf("%v, want %s", err, c.want)
		}
	}
}
