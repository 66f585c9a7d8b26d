package compose

import (
	"bytes"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/compose-spec/compose-go/v2/dotenv"
	"github.com/compose-spec/compose-go/v2/loader"
	"github.com/compose-spec/compose-go/v2/types"

	"github.com/libresh/libre/internal/describe"
	"github.com/libresh/libre/internal/describe/describetest"
	"github.com/libresh/libre/internal/instance"
	"github.com/libresh/libre/internal/kit"
)

var update = flag.Bool("update", false, "write the golden files anew")

// run is how an app is run.
type run struct {
	instance.Options
	compose Options
}

// counted gives secrets that tests can find again.
func counted(begin string) func() string {
	n := 0
	return func() string { n++; return fmt.Sprintf("%s%d", begin, n) }
}

func files(a *describe.Application, r run) ([]kit.File, error) {
	if r.Host == "" {
		r.Host = "docs.example.org"
	}
	if r.compose.Random == nil {
		r.compose.Random = counted("random")
	}
	i, err := instance.New(a, r.Options)
	if err != nil {
		return nil, err
	}
	return Files(i, r.compose)
}

func mustFiles(t *testing.T, a *describe.Application, r run) []kit.File {
	t.Helper()
	all, err := files(a, r)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func content(t *testing.T, all []kit.File, name string) []byte {
	t.Helper()
	i := slices.IndexFunc(all, func(f kit.File) bool { return f.Name == name })
	if i < 0 {
		t.Fatalf("there is no %s", name)
	}
	return all[i].Content
}

// compose-go leaves the format raw, NAME=VALUE as it is, to docker compose:
// https://docs.docker.com/reference/compose-file/services/#format
func init() {
	dotenv.RegisterFormat("raw", func(r io.Reader, _ string, into map[string]string, _ func(string) (string, bool)) error {
		text, err := io.ReadAll(r)
		for line := range strings.Lines(string(text)) {
			name, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "=")
			into[name] = value
		}
		return err
	})
}

// load reads the files as docker compose does: it checks the schema, what services name,
// and replaces variables, of which the environment has all that secrets could be mistaken for.
func load(t *testing.T, all []kit.File) (*types.Project, error) {
	t.Helper()
	dir := t.TempDir()
	for _, file := range all {
		path := filepath.Join(dir, file.Name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, file.Content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	project, err := loader.LoadWithContext(t.Context(), types.ConfigDetails{
		WorkingDir: dir, ConfigFiles: []types.ConfigFile{{Filename: filepath.Join(dir, "compose.yaml")}}, Environment: types.Mapping{"HOME": "leaked"},
	}, loader.WithProfiles([]string{"*"}))
	if err != nil {
		return nil, err
	}
	return project.WithServicesEnvironmentResolved(true)
}

func mustLoad(t *testing.T, all []kit.File) *types.Project {
	t.Helper()
	project, err := load(t, all)
	if err != nil {
		t.Fatal(err)
	}
	return project
}

func TestComposeReadsTheFile(t *testing.T) {
	for _, name := range []string{"docs", "guestbook"} {
		all := mustFiles(t, describetest.App(t, name), run{})
		mustLoad(t, all)
		got := content(t, all, "compose.yaml")
		path := "testdata/golden/" + name + ".yaml"
		if *update {
			if err := os.WriteFile(path, got, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("differs from %s (go test -update writes it):\n%s", path, got)
		}
	}
}

// The schema is checked: a field that it does not know, or a service that is not there, is an error.
func TestComposeRefusesAnotherFile(t *testing.T) {
	for _, change := range [][2]string{{"read_only:", "readonly:"}, {"condition: service_healthy", "condition: service_well"}, {"cap_drop:", "cap_drops:"}, {"    migrate:\n", "    nothing:\n"}} {
		all := mustFiles(t, describetest.App(t, "docs"), run{})
		for i, file := range all {
			if file.Name == "compose.yaml" {
				if !bytes.Contains(file.Content, []byte(change[0])) {
					t.Fatalf("the file has no %q", change[0])
				}
				all[i].Content = bytes.ReplaceAll(file.Content, []byte(change[0]), []byte(change[1]))
			}
		}
		if _, err := load(t, all); err == nil {
			t.Errorf("%q was accepted", change[1])
		}
	}
}

// No container has a right that it does not need, and each waits for what it needs.
func TestContainersHaveNoRights(t *testing.T) {
	project := mustLoad(t, mustFiles(t, describetest.App(t, "docs"), run{Options: instance.Options{With: []string{"converter"}}}))
	for name, s := range project.Services {
		if !s.ReadOnly || !slices.Equal(s.CapDrop, []string{"ALL"}) || !slices.Equal(s.SecurityOpt, []string{"no-new-privileges:true"}) || s.Privileged {
			t.Errorf("%s may do too much: %+v", name, s)
		}
		if len(s.Ports) > 0 && name != Router && s.Ports[0].HostIP != "127.0.0.1" {
			t.Errorf("%s is reached from outside: %+v", name, s.Ports)
		}
	}
	web := project.Services["web"].DependsOn
	for service, want := range map[string]string{"migrate": Completed, "postgres": Healthy, "redis": Healthy, "bucket-create": Completed, "oidc": Healthy} {
		if web[service].Condition != want {
			t.Errorf("web waits until %s is %q, want %q", service, web[service].Condition, want)
		}
	}
	if _, waits := project.Services["migrate"].DependsOn["migrate"]; waits || project.Services["migrate"].Restart != "no" {
		t.Error("the job waits for itself, or runs again")
	}
}

// Secrets are in private files alone, and the same for all that share one.
func TestSecretsAreInPrivateFiles(t *testing.T) {
	all := mustFiles(t, describetest.App(t, "docs"), run{})
	for _, file := range all {
		if has := bytes.Contains(file.Content, []byte("random")); has && !file.Private {
			t.Errorf("%s has a secret:\n%s", file.Name, file.Content)
		}
	}
	project := mustLoad(t, all)
	variable := func(service, name string) string {
		value := project.Services[service].Environment[name]
		if value == nil || !strings.Contains(*value, "random") {
			t.Fatalf("%s has no secret %s", service, name)
		}
		return *value
	}
	for _, same := range [][4]string{
		{"web", "DB_PASSWORD", "postgres", "POSTGRES_PASSWORD"}, {"web", "DB_PASSWORD", "worker", "DB_PASSWORD"}, {"web", "Y_PROVIDER_API_KEY", "y-provider", "Y_PROVIDER_API_KEY"},
		{"web", "AWS_S3_SECRET_ACCESS_KEY", "bucket", "MINIO_ROOT_PASSWORD"}, {"web", "OIDC_RP_CLIENT_SECRET", "oidc", "CLIENT_SECRET"},
	} {
		if variable(same[0], same[1]) != variable(same[2], same[3]) {
			t.Errorf("%s of %s and %s of %s differ", same[1], same[0], same[3], same[2])
		}
	}
	if a, b := variable("web", "DB_PASSWORD"), variable("web", "AWS_S3_SECRET_ACCESS_KEY"); a == b {
		t.Error("two secrets are the same")
	}
	url := mustLoad(t, mustFiles(t, describetest.App(t, "guestbook"), run{})).Services["web"].Environment["DATABASE_URL"]
	if url == nil || *url != "postgres://app:random1@postgres:5432/app" {
		t.Errorf("DATABASE_URL is %v", url)
	}
}

// Rendering again keeps the secrets, and adds what a new release needs. compose.yaml does
// not depend on them.
func TestSecretsAreKept(t *testing.T) {
	first := mustFiles(t, describetest.App(t, "docs"), run{})
	again := mustFiles(t, describetest.App(t, "docs"), run{compose: Options{Secrets: content(t, first, SecretsFile), Random: counted("other")}})
	for i := range first {
		if !bytes.Equal(first[i].Content, again[i].Content) {
			t.Errorf("%s is another:\n%s", first[i].Name, again[i].Content)
		}
	}
	others := mustFiles(t, describetest.App(t, "docs"), run{compose: Options{Random: counted("other")}})
	if !bytes.Equal(content(t, first, "compose.yaml"), content(t, others, "compose.yaml")) {
		t.Error("compose.yaml depends on the secrets")
	}
	own := []byte("# mine\nDJANGO_SECRET_KEY=$HOME 'a' # b=c\nMISTRAL_SDK_API_KEY=\"key\"")
	all := mustFiles(t, describetest.App(t, "docs"), run{compose: Options{Secrets: own}})
	web := mustLoad(t, all).Services["web"].Environment
	for name, want := range map[string]string{"DJANGO_SECRET_KEY": "$HOME 'a' # b=c", "MISTRAL_SDK_API_KEY": `"key"`} {
		if got := web[name]; got == nil || *got != want {
			t.Errorf("%s is %v, want %s", name, got, want)
		}
	}
	if kept := content(t, all, SecretsFile); !bytes.HasPrefix(kept, append(own, '\n')) {
		t.Errorf("the secrets begin with\n%s", kept)
	}
}

// What looks like a variable to compose is a value.
func TestValuesAreLiteral(t *testing.T) {
	a := describetest.App(t, "docs")
	for _, value := range []string{"$HOME", "${HOME:-x}", "$$", "a$b", "{{.X}}", "#", "a\nb: c", "'\""} {
		web := a.Spec.Components["backend"].Services["web"]
		web.Command = []string{"echo", value}
		web.Health = &describe.Health{Command: []string{"test", value}}
		a.Spec.Components["backend"].Services["web"] = web
		project := mustLoad(t, mustFiles(t, a, run{Options: instance.Options{Settings: map[string]string{"FRONTEND_THEME": value}}}))
		s := project.Services["web"]
		if got := s.Environment["FRONTEND_THEME"]; got == nil || *got != value || s.Command[1] != value || s.HealthCheck.Test[2] != value {
			t.Errorf("%q is %v, %q, %q", value, got, s.Command, s.HealthCheck.Test)
		}
	}
}

// A server has another name if one of the app's services has its own.
func TestServersAndServicesWithTheSameName(t *testing.T) {
	a := describetest.App(t, "guestbook")
	backend := a.Spec.Components["backend"]
	for _, name := range []string{"postgres", Router} {
		backend.Services[name] = describe.Service{Ports: []string{"http"}}
	}
	services := mustLoad(t, mustFiles(t, a, run{})).Services
	for _, name := range []string{"postgres", "libre-postgres", Router, "libre-router"} {
		if _, there := services[name]; !there {
			t.Errorf("there is no %s: %v", name, slices.Sorted(maps.Keys(services)))
		}
	}
}

func TestComposeErrors(t *testing.T) {
	for name, test := range map[string]struct {
		r    run
		want string
	}{
		"a need without a server":    {run{Options: instance.Options{With: []string{"llm"}}}, "no server for the need llm of kind llm"},
		"another one":                {run{Options: instance.Options{With: []string{"search"}}}, "no server for the need search"},
		"a required secret":          {run{Options: instance.Options{With: []string{"create-administrator"}, Settings: map[string]string{"ADMIN_EMAIL": "a@b.c"}}}, "write ADMIN_PASSWORD=VALUE into secrets.env"},
		"a line that is no secret":   {run{compose: Options{Secrets: []byte("A=b\nhidden\n")}}, "secrets.env:2: expected NAME=VALUE"},
		"a name that is no variable": {run{compose: Options{Secrets: []byte("A B=hidden\n")}}, "secrets.env:1: expected NAME=VALUE"},
		"a zero byte":                {run{compose: Options{Secrets: []byte("A=hidden\x00\n")}}, "secrets.env:1: the secret A has"},
		"a hash of another password": {run{compose: Options{Secrets: []byte("LIBRE_OIDC_PASSWORDHASH=hidden\n")}}, "remove its line"},
	} {
		all, err := files(describetest.App(t, "docs"), test.r)
		if err == nil || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "hidden") || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v and %d files, want one line with %q", name, err, len(all), test.want)
		}
	}
}

// What something else provides gets no server, and the services use it.
func TestProvidedNeedsGetNoServer(t *testing.T) {
	i, err := instance.New(describetest.App(t, "guestbook"), instance.Options{Port: 8080})
	if err != nil {
		t.Fatal(err)
	}
	project, files, err := New(i, Options{Random: counted("random"), Provided: map[string]map[string]string{"postgres": {"url": "postgres://elsewhere"}}})
	if err != nil {
		t.Fatal(err)
	}
	if got := slices.Sorted(maps.Keys(project.Services)); !slices.Equal(got, []string{"frontend", "migrate", "web"}) {
		t.Errorf("services %v", got)
	}
	if env := string(content(t, files, "secrets/web.env")); env != "DATABASE_URL=postgres://elsewhere\n" {
		t.Errorf("web gets %q", env)
	}
}

// Who starts it learns the parts of all needs, and says where browsers reach the provider.
func TestNewSaysWhereServersAre(t *testing.T) {
	i, err := instance.New(describetest.App(t, "docs"), instance.Options{Port: 8080})
	if err != nil {
		t.Fatal(err)
	}
	given := map[string]string{"url": "redis://elsewhere:7000/0"}
	project, all, err := New(i, Options{
		Random: counted("random"), Provided: map[string]map[string]string{"redis": given}, Site: func(host string) string { return "http://" + host + ".localhost:8080" },
	})
	if err != nil {
		t.Fatal(err)
	}
	for part, want := range map[string]string{
		project.Parts["redis"]["url"]:                  given["url"],
		project.Parts["bucket"]["endpoint"]:            "http://bucket:9000",
		project.Parts["oidc"]["issuer"]:                "http://oidc.localhost:8080/-/oidc",
		project.Parts["oidc"]["authorizationEndpoint"]: "http://oidc.localhost:8080/-/oidc/auth",
		project.Parts["oidc"]["tokenEndpoint"]:         "http://oidc:5556/-/oidc/token",
	} {
		if part != want {
			t.Errorf("%s, want %s", part, want)
		}
	}
	if dex := string(content(t, all, "oidc.yaml")); !strings.Contains(dex, "issuer: http://oidc.localhost:8080/-/oidc\n") || !strings.Contains(dex, "- http://127.0.0.1:8080/") {
		t.Errorf("Dex's configuration:\n%s", dex)
	}
}
