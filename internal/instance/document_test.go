package instance

import (
	"strings"
	"testing"

	"github.com/libresh/libre/internal/describe"
)

// Names of a published document become names of files and objects, and parts of rules.
func TestNamesOfADocumentAreChecked(t *testing.T) {
	for _, c := range []struct {
		change func(*describe.Application)
		want   string
	}{
		{func(a *describe.Application) { a.Metadata.Name = "../docs" }, `the app "../docs"`},
		{func(a *describe.Application) { a.Metadata.Name = "" }, `the app ""`},
		{func(a *describe.Application) { a.Spec.Needs["../../etc/x"] = describe.Need{Kind: "redis"} }, `the need "../../etc/x"`},
		{func(a *describe.Application) { a.Spec.Needs["x' in self || '"] = describe.Need{Kind: "redis"} }, `the need "x' in self || '"`},
		{func(a *describe.Application) { a.Spec.Needs["x\ny"] = describe.Need{Kind: "redis"} }, `the need "x\ny"`},
		{func(a *describe.Application) { a.Spec.Needs["queue"] = describe.Need{Kind: "amqp"} }, "the need queue has the kind amqp, which this libre does not know: use a newer one"},
		{func(a *describe.Application) { a.Spec.Needs["queue"] = describe.Need{} }, "the need queue has no kind"},
		{extensions("pg_trgm", `x"; DROP DATABASE app; --`), `the need postgres has the extension "x\"; DROP DATABASE app; --", expected a name such as pg_trgm`},
		{extensions("{{ .Values }}"), "expected a name such as pg_trgm"},
		{extensions("pg_trgm\n"), "expected a name such as pg_trgm"},
		{extensions("PG_TRGM"), "expected a name such as pg_trgm"},
		{extensions(""), "expected a name such as pg_trgm"},
		{extensions("uuid-ossp", "pg_trgm", "uuid-ossp"), "the need postgres has the extension uuid-ossp twice"},
		{func(a *describe.Application) { a.Spec.Components["Back end"] = describe.Component{} }, `the component "Back end"`},
		{func(a *describe.Application) { a.Spec.Components["backend"].Services["/web"] = describe.Service{} }, `the service "/web"`},
		{func(a *describe.Application) { a.Spec.Config["A-B"] = describe.Setting{} }, `the setting "A-B"`},
		{func(a *describe.Application) { a.Spec.Config["A) || (true"] = describe.Setting{} }, `the setting "A) || (true"`},
	} {
		a := example()
		c.change(a)
		_, err := New(a, Options{Host: "docs.example.org"})
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%v, want %s", err, c.want)
		}
	}
	if _, err := New(example(), Options{Host: "docs.example.org"}); err != nil {
		t.Error(err)
	}
}

func extensions(names ...string) func(*describe.Application) {
	return func(a *describe.Application) {
		a.Spec.Needs["postgres"] = describe.Need{Kind: "postgres", Extensions: names}
	}
}
