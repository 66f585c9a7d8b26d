package router

import (
	"flag"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/libresh/libre/internal/describe"
	"github.com/libresh/libre/internal/describe/describetest"
	"github.com/libresh/libre/internal/instance"
)

var update = flag.Bool("update", false, "write the golden files anew")

func resolve(t testing.TB, a *describe.Application, with ...string) *instance.Instance {
	t.Helper()
	i, err := instance.New(a, instance.Options{Host: "docs.example.org", With: with})
	if err != nil {
		t.Fatal(err)
	}
	return i
}

// inCluster has a Service of a name for each service, and another for its replicas.
var inCluster = Options{
	Address:  func(service string) string { return "docs-" + service },
	Replicas: func(service string) string { return "docs-" + service + "-replicas" },
}

func TestCaddyfileOfDocs(t *testing.T) {
	for name, o := range map[string]Options{
		"docs":       inCluster,
		"docs-https": {Address: inCluster.Address, Replicas: inCluster.Address, HTTPS: true},
	} {
		got, err := Caddyfile(resolve(t, describetest.App(t, "docs")), o)
		if err != nil {
			t.Fatal(err)
		}
		if again, _ := Caddyfile(resolve(t, describetest.App(t, "docs")), o); got != again {
			t.Error("the same input gave other bytes")
		}
		path := "testdata/golden/" + name + ".caddyfile"
		if *update {
			if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if got != string(want) {
			t.Errorf("differs from %s (go test -update writes it):\n%s", path, got)
		}
	}
}

func TestReasonsForARouter(t *testing.T) {
	for _, test := range []struct {
		route describe.Route
		want  string
	}{
		{describe.Route{Service: "web", Port: "http", WebSocket: true}, ""},
		{describe.Route{Service: "web", WebSocket: true, Timeout: 60}, "timeout"},
		{describe.Route{Service: "web", Sticky: &describe.Sticky{Query: "room"}}, "sticky"},
		{describe.Route{Service: "web", Authorize: &describe.Authorize{Service: "web", Path: "/auth"}}, "authorize"},
		{describe.Route{Bucket: "files", StripPrefix: true}, "bucket stripPrefix"},
		{describe.Route{Service: "web", MaxBodySize: "1Mi", ResponseHeaders: map[string]string{"A": "b"}}, "maxBodySize responseHeaders"},
	} {
		var want []string
		for word := range strings.FieldsSeq(test.want) {
			want = append(want, "/x: "+word)
		}
		if got := Reasons(map[string]describe.Route{"/": {Service: "web"}, "/x": test.route}); !slices.Equal(got, want) {
			t.Errorf("%+v: %q, want %q", test.route, got, want)
		}
	}
}

func TestVariablesOfBucketsThatRoutesLeadTo(t *testing.T) {
	a := describetest.App(t, "docs")
	a.Spec.Needs["backups"] = describe.Need{Kind: "bucket"} // of no route
	got := Variables(resolve(t, a))
	want := []instance.Variable{
		{Name: "LIBRE_BUCKET_ENDPOINT", Value: "$(endpoint)", Need: "bucket"},
		{Name: "LIBRE_BUCKET_NAME", Value: "$(name)", Need: "bucket"},
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

// A route to something optional is there only if that is used.
func TestRoutesToWhatIsNotUsed(t *testing.T) {
	a := describetest.App(t, "docs")
	a.Spec.Needs["old"] = describe.Need{Kind: "bucket", Optional: true}
	a.Spec.Routes["/convert"] = describe.Route{Service: "converter"}
	a.Spec.Routes["/old"] = describe.Route{Bucket: "old", StripPrefix: true}
	for _, test := range []struct {
		with []string
		want bool
	}{{nil, false}, {[]string{"converter", "old"}, true}} {
		got, err := Caddyfile(resolve(t, a, test.with...), inCluster)
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range []string{"/convert/*", "/old/*"} {
			if strings.Contains(got, path) != test.want {
				t.Errorf("with %q, it has %s: %v, want %v", test.with, path, !test.want, test.want)
			}
		}
	}
}

// What a document from outside says is written as data, or refused.
func TestRoutesThatAreRefused(t *testing.T) {
	route := func(change func(*describe.Route)) describe.Route {
		r := describe.Route{Service: "web"}
		change(&r)
		return r
	}
	header := func(name, value string) describe.Route {
		return route(func(r *describe.Route) { r.ResponseHeaders = map[string]string{name: value} })
	}
	sticky := func(s describe.Sticky) describe.Route {
		return route(func(r *describe.Route) { r.Sticky = &s })
	}
	authorize := func(a describe.Authorize) describe.Route {
		return route(func(r *describe.Route) { r.Authorize = &a })
	}
	for _, test := range []struct {
		name, path string
		route      describe.Route
		want       string
	}{
		{"a brace in a path", "/x{env.HOME}", route(func(*describe.Route) {}), "not a plain path"},
		{"a line in a path", "/x\nimport /etc/passwd", route(func(*describe.Route) {}), "not a plain path"},
		{"a space in a path", "/x /y", route(func(*describe.Route) {}), "not a plain path"},
		{"a wildcard in a path", "/x*", route(func(*describe.Route) {}), "not a plain path"},
		{"an escape in a path", "/x%2e", route(func(*describe.Route) {}), "not a plain path"},
		{"a variable in a path", "/{$HOME}", route(func(*describe.Route) {}), "not a plain path"},
		{"a path that goes up", "/x/../y", route(func(*describe.Route) {}), "not a plain path"},
		{"a path without a slash", "x", route(func(*describe.Route) {}), "not a plain path"},
		{"a path like another", "/API/", route(func(*describe.Route) {}), "overlap"},
		{"a line in a header's value", "/x", header("X-A", "a\nb"), "control character"},
		{"a variable in a header's value", "/x", header("X-A", "{$HOME}"), "{$"},
		{"half a variable in a header's value", "/x", header("X-A", "{$"), "{$"},
		{"both quotes in a header's value", "/x", header("X-A", "`\""), "backquote"},
		{"a header that begins with -", "/x", header("-X-A", "a"), "not a header name"},
		{"a header with a brace", "/x", header("{", "a"), "not a header name"},
		{"a header with a line", "/x", header("A\n}", "a"), "not a header name"},
		{"an argument with a space", "/x", sticky(describe.Sticky{Query: "a b"}), "query argument"},
		{"an argument with a brace", "/x", sticky(describe.Sticky{Query: "{"}), "query argument"},
		{"no argument", "/x", sticky(describe.Sticky{}), "query argument"},
		{"a cookie with a brace", "/x", sticky(describe.Sticky{Cookie: "a}{env.HOME"}), "of a cookie"},
		{"a cookie with a line", "/x", sticky(describe.Sticky{Cookie: "a\n}"}), "of a cookie"},
		{"a size with a line", "/x", route(func(r *describe.Route) { r.MaxBodySize = "1\n}" }), "not a quantity"},
		{"a size of nothing", "/x", route(func(r *describe.Route) { r.MaxBodySize = "0Mi" }), "not a size"},
		{"a size that is too large", "/x", route(func(r *describe.Route) { r.MaxBodySize = "999999999999Ti" }), "not a size"},
		{"a path to authorize with a space", "/x", authorize(describe.Authorize{Service: "web", Path: "/a b"}), "authorize"},
		{"a header to copy with a bracket", "/x", authorize(describe.Authorize{Service: "web", Path: "/a", CopyHeaders: []string{"A>B"}}), "authorize"},
		{"a header for the URL with a sign", "/x", authorize(describe.Authorize{Service: "web", Path: "/a", URLHeader: "+A"}), "authorize"},
		{"an unknown service", "/x", describe.Route{Service: "nothing"}, `"nothing" is not used`},
		{"an unknown service that authorizes", "/x", authorize(describe.Authorize{Service: "nothing", Path: "/a"}), `"nothing" is not used`},
		{"an optional service that authorizes", "/x", authorize(describe.Authorize{Service: "converter", Path: "/a"}), "--with converter"},
		{"a need that is no bucket", "/x", describe.Route{Bucket: "postgres"}, "of kind bucket"},
		{"an unknown bucket", "/x", describe.Route{Bucket: "nothing"}, "of kind bucket"},
		{"an unknown port", "/x", describe.Route{Service: "web", Port: "smtp"}, "no port smtp"},
	} {
		a := describetest.App(t, "docs")
		a.Spec.Routes[test.path] = test.route
		got, err := Caddyfile(resolve(t, a), inCluster)
		if err == nil || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v, want one line with %q\n%s", test.name, err, test.want, got)
		}
	}
	i := resolve(t, describetest.App(t, "docs"))
	i.Needs["b}\n{"] = describe.Need{Kind: "bucket"}
	i.App.Spec.Routes["/x"] = describe.Route{Bucket: "b}\n{"}
	if _, err := Caddyfile(i, inCluster); err == nil {
		t.Error("the name of a need wrote lines of its own")
	}
	hostile := Options{Address: func(string) string { return "a {\nimport x" }, Replicas: inCluster.Replicas}
	if _, err := Caddyfile(resolve(t, describetest.App(t, "docs")), hostile); err == nil {
		t.Error("the name of a service wrote lines of its own")
	}
}
