// Package doctor checks what libre needs on this machine. Each check reports what it found and
// how to fix what is missing or wrong.
package doctor

import (
	"cmp"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/libresh/libre/internal/fault"
	"github.com/libresh/libre/internal/file"
	"github.com/libresh/libre/internal/nix"
	"github.com/libresh/libre/internal/registry"
	"github.com/libresh/libre/internal/settings"
	"github.com/libresh/libre/internal/sign"
	"github.com/libresh/libre/internal/upstream"
)

// State is the result of a check.
type State string

const (
	OK      State = "ok"
	Note    State = "note" // only some builds, or libre run, need it
	Missing State = "missing"
	Wrong   State = "wrong"
)

// Check is one line of the report.
type Check struct {
	Name  string `json:"name"` // what was checked
	State State  `json:"state"`
	Found string `json:"found"`         // what there is
	Fix   string `json:"fix,omitempty"` // what to type or to change; empty if nothing is to be done
	Err   error  `json:"-"`             // the cause, which decides the exit code; nil if the exit code does not depend on it
}

// Failed reports whether something is missing or wrong.
func (c Check) Failed() bool { return c.State == Missing || c.State == Wrong }

// Subject is the catalogue and the machine to check.
type Subject struct {
	Dir        string // of the catalogue; empty if there is none
	Problem    error  // why the catalogue cannot be used; nil if there is none, or if it can
	Settings   *settings.Settings
	PackageSet string
	CacheDir   string
	Nix        *nix.Nix

	Metadata   func(context.Context) (*nix.Evaluation, error) // of all apps
	Upstream   func() (*upstream.Client, error)
	Registries func() ([]*registry.Client, error) // none if none is configured
	Terminal   bool                               // whether a password can be asked for
}

// requestTimeout is the time limit for a registry, or for all forges together.
const requestTimeout = 30 * time.Second

const fixNetwork = "check the network and the proxy"

// Run runs all checks that apply, in the order of the report.
func (s Subject) Run(ctx context.Context) []Check {
	checks := []Check{s.catalogue()}
	checks = append(checks, s.nix(ctx)...)
	checks = append(checks, s.packageSet(ctx)...)
	checks = append(checks, s.engine(ctx)...)
	checks = append(checks, s.run(ctx)...)
	checks = append(checks, s.git(ctx)...)
	checks = append(checks, patch(), writable("cache", s.CacheDir))
	if s.Dir != "" {
		checks = append(checks, writable("output", filepath.Join(s.Dir, "dist")))
		checks = append(checks, s.signing(ctx)...)
	}
	checks = append(checks, s.forges(ctx)...)
	return append(checks, s.registries(ctx)...)
}

func (s Subject) catalogue() Check {
	switch {
	case s.Problem != nil:
		return failure("catalogue", Wrong, s.Problem, "correct "+settings.File)
	case s.Dir == "":
		return Check{Name: "catalogue", State: Note, Found: "no flake.nix here", Fix: "libre init my-catalogue, or -C DIRECTORY"}
	}
	return ok("catalogue", s.Dir)
}

// signing checks the configured keys. It signs nothing.
func (s Subject) signing(ctx context.Context) []Check {
	const fix = "libre keygen, and sign: {key: cosign.key} in libre.yaml"
	config := s.Settings.Sign
	switch {
	case config.None:
		return []Check{{Name: "signing", State: Note, Found: "sign: none: images are not signed and have no SBOM or provenance", Fix: fix}}
	case config.Unset():
		return []Check{{Name: "signing", State: Note, Found: "no key is configured: push needs --key", Fix: fix}}
	}
	var checks []Check
	if config.Key != "" {
		checks = append(checks, s.signingKey(config.Key))
	}
	if _, err := config.Policy(ctx); err != nil {
		return append(checks, failure("public key", Wrong, err, "set publicKey below sign in libre.yaml"))
	}
	return append(checks, ok("public key", "signatures can be verified"))
}

func (s Subject) signingKey(key string) Check {
	const name, fix = "signing key", "libre keygen makes a key; set key below sign in libre.yaml"
	if variable, isVariable := strings.CutPrefix(key, "env://"); isVariable {
		if os.Getenv(variable) == "" {
			return Check{Name: name, State: Missing, Found: "$" + variable + " is not set", Fix: "set " + variable + " to the key"}
		}
	} else if _, err := file.Read(key); err != nil {
		return failure(name, Missing, err, fix)
	}
	if _, isSet := os.LookupEnv(sign.PasswordVariable); !isSet && !s.Terminal {
		return Check{Name: name, State: Note, Found: key + ": libre asks for its password at a terminal", Fix: "set " + sign.PasswordVariable}
	}
	return ok(name, key)
}

func ok(name, found string) Check { return Check{Name: name, State: OK, Found: found} }

// failure returns a check that failed with an error. fix is used if the error has none.
func failure(name string, state State, err error, fix string) Check {
	return Check{Name: name, State: state, Found: fault.Reason(err), Fix: cmp.Or(fault.Fix(err), fix), Err: err}
}

// timedOut reports whether a context ended because of its deadline.
func timedOut(ctx context.Context) bool { return errors.Is(ctx.Err(), context.DeadlineExceeded) }
