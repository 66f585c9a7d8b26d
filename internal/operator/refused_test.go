package operator

import (
	"bytes"
	"strings"
	"testing"

	"github.com/libresh/libre/internal/describe"
	"github.com/libresh/libre/internal/describe/describetest"
	"github.com/libresh/libre/internal/instance"
)

// change sets a field of a resource by its path, with "/" between names; nil removes it.
func change(resource map[string]any, path string, value any) {
	at, names := resource, strings.Split(path, "/")
	for _, name := range names[:len(names)-1] {
		if at[name] == nil {
			at[name] = map[string]any{}
		}
		at = at[name].(map[string]any)
	}
	if last := names[len(names)-1]; value == nil {
		delete(at, last)
	} else {
		at[last] = value
	}
}

// example returns the resource of a kind. It comes from docs with all that is optional, from
// registry, or from an app with all fields of needs.
func example(t *testing.T, kind string) map[string]any {
	t.Helper()
	all := render(t, describetest.App(t, "docs"), instance.Options{With: []string{"llm", "converter", "create-administrator"}, Settings: map[string]string{"ADMIN_EMAIL": "admin@example.org"}})
	all = append(all, render(t, describetest.App(t, "registry"), instance.Options{With: []string{"bucket"}})...)
	for _, file := range append(all, render(t, everyNeed(t), instance.Options{})...) {
		if resource := decode(t, file.Content); resource["kind"] == kind {
			return resource
		}
	}
	t.Fatalf("no resource of kind %s", kind)
	return nil
}

// everyNeed returns an app with the kinds of needs that no other app has.
func everyNeed(t *testing.T) *describe.Application {
	a := describetest.App(t, "guestbook")
	a.Spec.Needs = map[string]describe.Need{
		"mysql": {Kind: "mysql", Version: ">=8 || ^11.4"},
		"docs":  {Kind: "app", App: "docs", Component: "y-provider", Port: "http"},
	}
	return a
}

func allTypes(t *testing.T) map[string]resourceType {
	t.Helper()
	return resourceTypes(t, definitions(t, describetest.App(t, "docs"), describetest.App(t, "registry"), everyNeed(t)))
}

func TestDefinitionsRefuseWrongResources(t *testing.T) {
	types := allTypes(t)
	digest := "@sha256:" + strings.Repeat("1", 64)
	for _, c := range []struct {
		kind, path string
		value      any
		want       string
	}{
		{"Docs", "spec/images/backend", "registry.example/docs-backend:5.4.1-1", "an image is pinned by its digest"},
		{"Docs", "spec/images/backend", "registry.example/docs-backend@sha256:1234", "an image is pinned by its digest"},
		{"Docs", "spec/images/backend", "docs backend" + digest, "an image is pinned by its digest"},
		{"Docs", "spec/images/backend", nil, "a component is missing, of: backend, frontend, y-provider"},
		{"Docs", "spec/images/celery", "registry.example/celery" + digest, "must have at most 3 items"},
		{"Docs", "spec/images", map[string]any{"backend": "registry.example/x" + digest, "celery": "registry.example/x" + digest}, "a component is one of: backend, frontend, y-provider"},
		{"Docs", "spec/images", nil, "Required value"},
		{"Docs", "spec/host", "https://docs.example.org", "the host is a DNS name"},
		{"Docs", "spec/host", "docs.example.org:8443", "the host is a DNS name"},
		{"Docs", "spec/host", "192.0.2.1", "the host is a DNS name"},
		{"Docs", "spec/host", "Docs.example.org", "the host is a DNS name"},
		{"Docs", "spec/host", strings.Repeat("a", 64) + ".org", "the host is a DNS name"},
		{"Docs", "spec/host", strings.Repeat("a.", 130) + "org", "may not be more than 253"},
		{"Docs", "spec/host", nil, "Required value"},
		{"Docs", "spec/hosts", []any{"docs.example.org"}, "unknown field spec.hosts"},
		{"Docs", "spec/packageVersion", int64(0), "greater than or equal to 1"},
		{"Docs", "spec/packageVersion", "1", "must be of type integer"},
		{"Docs", "spec/variant", "Lyon", "should match"},
		{"Docs", "spec/settings/FRONTEND_TEME", "dsfr", "unknown field spec.settings.FRONTEND_TEME"},
		{"Docs", "spec/settings/DJANGO_SECRET_KEY", "hunter2", "unknown field spec.settings.DJANGO_SECRET_KEY"},
		{"Docs", "spec/settings/COLLABORATION_LOGGING", "maybe", "it is true or false"},
		{"Docs", "spec/settings/COLLABORATION_LOGGING", true, "must be of type string"},
		{"Docs", "spec/settings/FRONTEND_CSS_URL", "theme.css", "it is a URL with a scheme"},
		{"Docs", "spec/settings/THEME_CUSTOMIZATION_FILE_PATH", "theme.json", "it is an absolute path"},
		{"Docs", "spec/settings", nil, "the optional service create-administrator needs the setting ADMIN_EMAIL"},
		{"Docs", "spec/with", []any{"converter", "converter"}, "Duplicate value"},
		{"Docs", "spec/with", []any{"assistant"}, "Unsupported value"},
		{"Docs", "spec/with", nil, "the optional need llm is in with and in needs, or in neither"},
		{"Docs", "spec/needs/llm", nil, "the optional need llm is in with and in needs, or in neither"},
		{"Docs", "spec/needs/postgres", nil, "a need is missing, of: bucket, oidc, postgres, redis, smtp"},
		{"Docs", "spec/needs/mysql", map[string]any{"secretName": "mysql"}, "a need is one of: "},
		{"Docs", "spec/needs/postgres", map[string]any{}, "exactly one of secretName and claimName"},
		{"Docs", "spec/needs/postgres/claimName", "postgres", "exactly one of secretName and claimName"},
		{"Docs", "spec/needs/postgres/secretName", "Postgres", "should match"},
		{"Docs", "spec/needs/postgres/password", "hunter2", "unknown field spec.needs.postgres.password"},
		{"Docs", "spec/envFrom", []any{map[string]any{}}, "exactly one of secretRef and configMapRef"},
		{"Docs", "spec/envFrom", []any{map[string]any{"secretRef": map[string]any{}}}, "Required value"},
		{"Registry", "spec/settings/REGISTRY_LOG_LEVEL", "loud", "Unsupported value"},
		{"Postgres", "spec/extensions", []any{"pg_trgm", "unaccent", "pg_trgm"}, "Duplicate value"},
		{"Postgres", "spec/extensions", []any{"pg_trgm; drop table"}, "should match"},
		{"Postgres", "spec/extensions", "pg_trgm", "must be of type array"},
		{"Postgres", "spec/version", "at least 14", "a version constraint is like >=14, <18"},
		{"Postgres", "spec/version", ">=14,,<18", "a version constraint is like >=14, <18"},
		{"Postgres", "spec/version", "=>14", "a version constraint is like >=14, <18"},
		{"Postgres", "spec/secretName", nil, "Required value"},
		{"Postgres", "spec/password", "hunter2", "unknown field spec.password"},
		{"Postgres", "spec", nil, "Required value"},
		{"MySQL", "spec/extensions", []any{"pg_trgm"}, "unknown field spec.extensions"},
		{"Bucket", "spec/bucketName", "Docs", "a bucket's name has 3 to 63"},
		{"Bucket", "spec/bucketName", "a..b", "a bucket's name has 3 to 63"},
		{"Bucket", "spec/versioning", "yes", "must be of type boolean"},
		{"OIDCClient", "spec/redirectURIs", []any{"http://docs.example.org/callback/"}, "a redirect URI is an https:// URL"},
		{"OIDCClient", "spec/redirectURIs", []any{"/callback/"}, "a redirect URI is an https:// URL"},
		{"OIDCClient", "spec/redirectURIs", []any{"https://docs.example.org/#x"}, "a redirect URI is an https:// URL"},
		{"OIDCClient", "spec/scopes", []any{"openid email"}, "should match"},
		{"Volume", "spec/size", "ten gigabytes", "the size is a quantity"},
		{"Volume", "spec/size", "0", "the size is a quantity"},
		{"Volume", "spec/size", "-1Gi", "the size is a quantity"},
		{"Volume", "spec/access", "ReadWrite", "Unsupported value"},
		{"Volume", "spec/secretName", "data", "unknown field spec.secretName"},
		{"AppPort", "spec/port", nil, "Required value"},
		{"AppPort", "spec/app", "Docs", "should match"},
	} {
		resource := example(t, c.kind)
		if err := create(types, resource, nil); err != nil {
			t.Fatalf("%s is refused unchanged: %v", c.kind, err)
		}
		change(resource, c.path, c.value)
		if err := create(types, resource, nil); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s with %s = %v: %v, want %s", c.kind, c.path, c.value, err, c.want)
		}
	}
}

func TestWhatCannotChangeIsRefused(t *testing.T) {
	types := allTypes(t)
	for _, c := range []struct {
		kind, path    string
		before, after any
		want          string // "" is accepted
	}{
		{"Bucket", "spec/bucketName", "docs-media", "docs-other", "the bucket's name cannot change"},
		{"Bucket", "spec/bucketName", "docs-media", nil, "the bucket's name cannot be added or removed later"},
		{"Bucket", "spec/bucketName", nil, "docs-media", "the bucket's name cannot be added or removed later"},
		{"Bucket", "spec/versioning", true, false, "versioning cannot be turned off"},
		{"Bucket", "spec/versioning", true, nil, "versioning cannot be turned off"},
		{"Bucket", "spec/versioning", nil, true, ""},
		{"Bucket", "spec/secretName", "one", "two", "the Secret's name cannot change"},
		{"Postgres", "spec/secretName", "one", "two", "the Secret's name cannot change"},
		{"Postgres", "spec/version", ">=14", ">=15", ""},
		{"Volume", "spec/claimName", "one", "two", "the claim's name cannot change"},
		{"Volume", "spec/access", "ReadWriteOnce", "ReadWriteMany", "the access cannot change"},
		{"Volume", "spec/size", "50Gi", "40Gi", "a volume cannot shrink"},
		{"Volume", "spec/size", "1Ti", "1000Gi", "a volume cannot shrink"},
		{"Volume", "spec/size", "50Gi", "0.5Ti", ""},
		{"Docs", "spec/host", "docs.example.org", "docs.example.com", ""},
		{"Docs", "spec/version", "5.4.0", "5.4.1", ""},
	} {
		before, after := example(t, c.kind), example(t, c.kind)
		change(before, c.path, c.before)
		change(after, c.path, c.after)
		if err := create(types, before, nil); err != nil {
			t.Fatalf("%s with %s = %v: %v", c.kind, c.path, c.before, err)
		}
		err := create(types, after, before)
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s with %s from %v to %v: %v, want %q", c.kind, c.path, c.before, c.after, err, c.want)
		}
	}
}

// The check of definitions finds what Kubernetes refuses: rules that cost too much or do not
// compile, a schema that is not structural, and unknown fields.
func TestWrongDefinitionsAreRefused(t *testing.T) {
	definition := definitions(t, describetest.App(t, "docs"))[0].Content
	if _, err := readDefinition(definition); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ old, new, want string }{
		{"x-kubernetes-validations:\n                    - rule: self.matches(", "x-kubernetes-validation:\n                    - rule: self.matches(", "unknown field"},
		{"rule: self.contains('@')", "rule: self.contain('@')", "compilation failed"},
		{"rule: self.contains('@')", "rule: self.all(x, true)", "compilation failed"},
		{"maxProperties: 3\n", "minProperties: 1\n", "estimated rule cost"},
		{"listKind: DocsList", "listKind: Docs", "kind and listKind may not be the same"},
		{"name: docs.apps.libre.sh", "name: docs.libre.sh", "must be spec.names.plural"},
		{"            spec:\n              type: object\n", "            spec:\n", "must not be empty for specified object fields"},
	} {
		if !bytes.Contains(definition, []byte(c.old)) {
			t.Errorf("the definition has no %q", c.old)
			continue
		}
		if _, err := readDefinition(bytes.Replace(definition, []byte(c.old), []byte(c.new), 1)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q in place of %q: %v, want %s", c.new, c.old, err, c.want)
		}
	}
}
