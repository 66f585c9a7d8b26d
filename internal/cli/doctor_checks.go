package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/libresh/libre/internal/containerfile"
	"github.com/libresh/libre/internal/fault"
	"github.com/libresh/libre/internal/file"
	"github.com/libresh/libre/internal/nix"
	"github.com/libresh/libre/internal/registry"
	"github.com/libresh/libre/internal/sign"
)

// packagePatience is how long the package set may take to be fetched.
const packagePatience = time.Minute

// packageSetChecks looks at the package set that is in use.
func packageSetChecks(ctx context.Context, ws *workspace) []check {
	if ws.packageSet == nix.HostPackageName {
		parts, err := nix.FindHostParts(ctx)
		if err != nil {
			what, mend, _ := strings.Cut(strings.TrimPrefix(err.Error(), "host package set: "), ": ")
			return []check{{"host package set", "missing", what, mend, err}}
		}
		return []check{{"host package set", "ok", fmt.Sprintf("Go %s, busybox %s, %s", parts.GoVer, parts.BoxVer, parts.CACerts), "", nil}}
	}
	if ws.dir == "" {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, packagePatience)
	defer cancel()
	err := ws.nix.TryNixpkgs(ctx, ws.dir)
	const mend = "mend the network or the proxy, or use --package-set host"
	switch {
	case err == nil:
		return []check{{"nixpkgs", "ok", "the input of flake.lock is there", "", nil}}
	case errors.Is(ctx.Err(), context.DeadlineExceeded):
		return []check{{"nixpkgs", "wrong", fmt.Sprintf("not fetched within %d seconds", packagePatience/time.Second), mend, err}}
	case errors.Is(err, os.ErrNotExist):
		return []check{{"nixpkgs", "wrong", "there is no flake.lock, and an input that is not locked is refused", "nix flake lock", err}}
	}
	reason := fault.Reason(err)
	if _, why, ok := strings.Cut(reason, ": "); ok {
		reason = why // without the folder that was evaluated for this
	}
	return []check{{"nixpkgs", "wrong", "cannot be fetched: " + reason, cmp.Or(fault.Fix(err), mend), err}}
}

// engineChecks look for the engine that is configured, which must be there, or for any,
// and try how it keeps upstreams' steps from this machine.
func engineChecks(ctx context.Context, ws *workspace) []check {
	configured := ws.config.Engine
	if configured == "none" {
		return []check{{"engine", "note", "none: no Containerfile is built here", "", nil}}
	}
	engine, err := containerfile.Detect(ctx, configured)
	if err == nil {
		return []check{knownEngine(engine), stepsCheck(ctx, ws, engine)}
	}
	what, mend, _ := strings.Cut(err.Error(), ": ")
	if configured != "" {
		return []check{{"engine", "missing", what + ", and libre.yaml or LIBRE_ENGINE names it", mend, err}}
	}
	return []check{{"engine", "note", what + " (for Containerfile components)", mend, nil}}
}

// stepsCheck runs a step as a build would.
func stepsCheck(ctx context.Context, ws *workspace, engine containerfile.Engine) check {
	const name = "steps of upstreams"
	builder := containerfile.NewBuilder(engine, filepath.Join(ws.cacheDir, "containers"))
	builder.KeepAtMost(ws.config.Limits.Storage)
	how, offline, err := builder.Confinement(ctx)
	switch {
	case err != nil && ws.config.Build.TrustUpstream:
		return check{name, "note", fault.Reason(err) + ": build.trustUpstream lets them run all the same", "apt-get install runc slirp4netns", nil}
	case err != nil:
		return check{name, "note", fault.Reason(err) + " (for Containerfile components)", cmp.Or(fault.Fix(err), "apt-get install runc slirp4netns"), nil}
	case offline != "":
		return check{name, "note", how, offline, nil}
	}
	return check{name, "ok", how, "", nil}
}

// knownEngine says which ways out of a build the engine has, and what follows.
func knownEngine(engine containerfile.Engine) check {
	unfixed := engine.Unfixed()
	if len(unfixed) == 0 || engine.Name == "docker" { // whose daemon counts: stepsCheck asks it
		return check{"engine", "ok", engine.String(), "", nil}
	}
	return check{"engine", "note",
		fmt.Sprintf("%s has %s, unless the distribution mended it: libre copies what steps mount from stages, and refuses cache ids and sources that are paths elsewhere",
			engine, strings.Join(unfixed, ", ")),
		"buildah 1.38.1 or podman 5.3.2, or newer", nil}
}

// signChecks looks for the keys that are configured. Nothing is signed.
func signChecks(ctx context.Context, ws *workspace, o publishOptions) []check {
	config := ws.config.Sign
	switch {
	case ws.dir == "":
		return nil
	case config.None:
		return []check{{"signing", "note", "sign: none: nothing is signed, described or attested", "libre keygen, and sign: {key: cosign.key} in libre.yaml", nil}}
	case config.Key == "" && len(config.PublicKeys) == 0 && config.Keyless == nil:
		return []check{{"signing", "note", "no key is configured: push needs --key", "libre keygen, and sign: {key: cosign.key} in libre.yaml", nil}}
	}
	var checks []check
	if key := config.Key; key != "" {
		checks = append(checks, keyCheck(ws, key))
	}
	client, err := registry.NewClient("localhost", registry.Options{}) // it is asked nothing
	if err == nil {
		_, err = ws.signing(ctx, o, client, false)
	}
	if err != nil {
		return append(checks, check{"public key", "wrong", fault.Reason(err), cmp.Or(fault.Fix(err), "name it as publicKey below sign in libre.yaml"), err})
	}
	return append(checks, check{"public key", "ok", "signatures can be verified", "", nil})
}

func keyCheck(ws *workspace, key string) check {
	const mend = "libre keygen makes one, key below sign in libre.yaml names it"
	if variable, ok := strings.CutPrefix(key, "env://"); ok {
		if os.Getenv(variable) == "" {
			return check{"signing key", "missing", "$" + variable + " is not set", "set " + variable + " to the key", nil}
		}
	} else if _, err := file.Read(ws.resolve(key)); err != nil {
		return check{"signing key", "missing", err.Error(), mend, err}
	}
	if _, ok := os.LookupEnv(sign.PasswordVariable); !ok && askPassword() == nil {
		return check{"signing key", "note", key + ": its password is asked for at a terminal", "set " + sign.PasswordVariable, nil}
	}
	return check{"signing key", "ok", key, "", nil}
}
