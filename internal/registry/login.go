package registry

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"strings"

	"github.com/docker/cli/cli/config/credentials"
	"github.com/docker/cli/cli/config/types"
	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"

	"github.com/libresh/libre/internal/fault"
)

// Login logs in to a registry.
type Login struct {
	registry  name.Registry
	transport http.RoundTripper
}

// Stored says where a login was stored.
type Stored struct {
	File    string // of docker or podman, which has the login or names the helper
	Helper  string // the program that keeps it; "" if the file does
	Checked bool   // false if the registry is public, and does not check logins
}

// NewLogin checks a registry's name, without a namespace. It sends no request.
func NewLogin(host string, o Options) (*Login, error) {
	options := []name.Option{name.StrictValidation}
	if o.Insecure {
		options = append(options, name.Insecure)
	}
	registry, err := name.NewRegistry(host, options...)
	if err != nil {
		return nil, fmt.Errorf("registry %q, expected a registry alone, such as registry.example: %w", host, err)
	}
	return &Login{registry, newTransport(o)}, nil
}

// Store checks a name and a password with the registry, and stores them where docker or
// podman do, and where Client finds them. If the registry refuses them, the error is a
// fault of kind Credentials, and nothing is stored.
func (l *Login) Store(ctx context.Context, username, password string) (Stored, error) {
	checked, err := l.check(ctx, username, password)
	if err != nil {
		return Stored{}, err
	}
	stored, err := l.store(username, password)
	stored.Checked = checked
	return stored, err
}

func (l *Login) check(ctx context.Context, username, password string) (asked bool, err error) {
	doing := "logging in to " + l.registry.Name()
	challenge, err := transport.Ping(ctx, l.registry, l.transport)
	if err != nil {
		return false, Explain(doing, err)
	}
	err = func() error {
		auth := authn.FromConfig(authn.AuthConfig{Username: username, Password: password})
		loggedIn, err := transport.NewWithContext(ctx, l.registry, auth, l.transport, nil)
		if err != nil {
			return err
		}
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf("%s://%s/v2/", l.registry.Scheme(), l.registry.RegistryStr()), nil)
		if err != nil {
			return err
		}
		response, err := (&http.Client{Transport: loggedIn}).Do(request)
		if err != nil {
			return err
		}
		defer response.Body.Close()
		return checkStatus(response, http.StatusOK)
	}()
	var failure *transport.Error
	if errors.As(err, &failure) && (failure.StatusCode == http.StatusUnauthorized || failure.StatusCode == http.StatusForbidden) {
		return true, &fault.Fault{Kind: fault.Credentials, Doing: doing, Err: errors.New(oneLine(failure))}
	}
	if err != nil {
		return true, Explain(doing, err)
	}
	return challenge.Scheme != "", nil
}

// loginFile returns the file for a login: the file that the environment names, docker's, or
// podman's if only podman has one.
func loginFile() string {
	if named := os.Getenv("REGISTRY_AUTH_FILE"); named != "" {
		return named
	}
	for _, path := range append([]string{dockerFile()}, podmanFiles()...) {
		if _, err := os.Stat(path); err == nil {
			return path
		}
	}
	return dockerFile()
}

func (l *Login) store(username, password string) (Stored, error) {
	stored := Stored{File: loginFile()}
	file, err := loadAuthFile(stored.File)
	if err != nil {
		return stored, fmt.Errorf("reading %s: %w", stored.File, err)
	}
	login := types.AuthConfig{Username: username, Password: password, ServerAddress: l.registry.RegistryStr()}
	if login.ServerAddress == name.DefaultRegistry {
		login.ServerAddress = authn.DefaultAuthKey
	}
	if helper := cmp.Or(file.CredentialHelpers[login.ServerAddress], file.CredentialsStore); helper != "" {
		stored.Helper = "docker-credential-" + helper
		if err := credentials.NewNativeStore(file, helper).Store(login); err != nil {
			return stored, fmt.Errorf("storing the login to %s with %s: %s", l.registry.Name(), stored.Helper, withoutSecret(err.Error(), password))
		}
		return stored, nil
	}
	// The file that replaces it gets its mode.
	if err := os.Chmod(stored.File, 0o600); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return stored, fmt.Errorf("storing the login to %s: %w", l.registry.Name(), err)
	}
	file.AuthConfigs[login.ServerAddress] = login
	if err := file.Save(); err != nil {
		return stored, fmt.Errorf("storing the login to %s: %w", l.registry.Name(), err)
	}
	return stored, nil
}

// withoutSecret returns a helper's output on one line, without the secret that it got.
func withoutSecret(text, secret string) string {
	told, _ := json.Marshal(secret)
	for _, form := range []string{secret, string(told[1 : len(told)-1])} {
		text = strings.ReplaceAll(text, form, "…")
	}
	return strings.Join(strings.Fields(text), " ")
}
