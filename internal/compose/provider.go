package compose

import (
	"fmt"
	"maps"

	"golang.org/x/crypto/bcrypt"

	"github.com/libresh/libre/internal/describe"
	"github.com/libresh/libre/internal/instance"
	"github.com/libresh/libre/internal/kit"
)

const providerPort = 5556

// providerPath is where an OpenID provider is, on the app's own host name.
func providerPath(host string) string { return "/-/" + host }

// dex is the configuration of the provider: https://dexidp.io/docs/
type dex struct {
	Issuer           string            `yaml:"issuer"`
	Storage          map[string]string `yaml:"storage"`
	Web              map[string]string `yaml:"web"`
	OAuth2           map[string]bool   `yaml:"oauth2"`
	EnablePasswordDB bool              `yaml:"enablePasswordDB"`
	StaticClients    []dexClient       `yaml:"staticClients"`
	StaticPasswords  []dexPassword     `yaml:"staticPasswords"`
}

type dexClient struct {
	ID           string   `yaml:"id"`
	Name         string   `yaml:"name"`
	SecretEnv    string   `yaml:"secretEnv"`
	RedirectURIs []string `yaml:"redirectURIs"`
}

type dexPassword struct {
	Email       string `yaml:"email"`
	Username    string `yaml:"username"`
	UserID      string `yaml:"userID"`
	HashFromEnv string `yaml:"hashFromEnv"`
}

// addProvider adds an OpenID provider with one user, admin@HOST. Browsers reach it through
// the router, and the app's services directly.
func (r *renderer) addProvider(need, host string) error {
	client, password := r.part(need, "clientSecret"), r.part(need, "password")
	hash, err := r.hashed(need, password)
	if err != nil {
		return err
	}
	site := r.URL()
	if r.o.Site != nil {
		site = r.o.Site(host)
	}
	public, internal := site+providerPath(host), fmt.Sprintf("http://%s:%d%s", host, providerPort, providerPath(host))
	config, err := kit.YAML(host+".yaml", "", dex{
		Issuer: public, Storage: map[string]string{"type": "memory"}, Web: map[string]string{"http": fmt.Sprintf("0.0.0.0:%d", providerPort)},
		OAuth2: map[string]bool{"skipApprovalScreen": true}, EnablePasswordDB: true,
		StaticClients:   []dexClient{{ID: user, Name: r.App.Metadata.Name, SecretEnv: "CLIENT_SECRET", RedirectURIs: []string{r.URL() + r.Needs[need].Callback}}},
		StaticPasswords: []dexPassword{{Email: "admin@" + r.Host, Username: "admin", UserID: "1", HashFromEnv: "PASSWORD_HASH"}},
	})
	if err != nil {
		return err
	}
	s := newService(r.image("oidc")).checked("wget", "-q", "-O", "/dev/null", fmt.Sprintf("http://127.0.0.1:%d%s/healthz", providerPort, providerPath(host)))
	s.Command, s.Tmpfs = []string{"dex", "serve", "/etc/dex/config.yaml"}, []string{"/tmp"}
	s.Volumes = []string{"./" + config.Name + ":/etc/dex/config.yaml:ro,z"}
	r.files = append(r.files, config)
	r.parts[need] = map[string]string{
		"issuer": public, "clientId": user, "clientSecret": client, "authorizationEndpoint": public + "/auth", "endSessionEndpoint": r.URL() + r.Needs[need].PostLogout,
		"tokenEndpoint": internal + "/token", "userinfoEndpoint": internal + "/userinfo", "jwksUri": internal + "/keys",
	}
	r.addServer(need, host, s, "")
	return r.addSecretEnv(host, s, map[string]string{"CLIENT_SECRET": client, "PASSWORD_HASH": hash})
}

// hashed is the bcrypt hash of a password. It is kept, since each has other random bits.
func (r *renderer) hashed(need, password string) (string, error) {
	name := instance.PartVariable(need, "passwordHash")
	hash := r.secrets.known[name]
	if bcrypt.CompareHashAndPassword([]byte(hash), []byte(password)) == nil {
		return hash, nil
	}
	if hash != "" {
		return "", fmt.Errorf("%s does not match its password: remove its line from %s, and render again", name, SecretsFile)
	}
	made, err := bcrypt.GenerateFromPassword([]byte(password), bcrypt.DefaultCost)
	if err != nil {
		return "", err
	}
	r.keep(name, string(made))
	return string(made), nil
}

// withProvider is the instance, with a route to its OpenID provider if there is one.
func (r *renderer) withProvider() *instance.Instance {
	routed, app := *r.Instance, *r.App
	app.Spec.Routes = maps.Clone(app.Spec.Routes)
	for name, need := range r.Needs {
		if need.Kind != "oidc" {
			continue
		}
		host := r.name(name)
		port := describe.Port{Port: providerPort, Protocol: "tcp"}
		routed.Services = append(routed.Services[:len(routed.Services):len(routed.Services)], instance.Service{
			Service: describe.Service{Ports: []string{"http"}}, Name: host, ComponentName: host,
			Component: describe.Component{Ports: map[string]describe.Port{"http": port}},
		})
		if app.Spec.Routes == nil {
			app.Spec.Routes = map[string]describe.Route{}
		}
		app.Spec.Routes[providerPath(host)] = describe.Route{Service: host}
	}
	routed.App = &app
	return &routed
}
