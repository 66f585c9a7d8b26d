package doctor

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/libresh/libre/internal/fault"
	"github.com/libresh/libre/internal/git"
	"github.com/libresh/libre/internal/nix"
)

func (s Subject) nix(ctx context.Context) []Check {
	const website = "see https://nixos.org/download"
	version, err := s.Nix.Version(ctx)
	if err != nil {
		return []Check{{Name: "nix", State: Missing, Found: "not found", Fix: "apt-get install nix-bin"}}
	}
	if !nix.Supported(version) {
		return []Check{{Name: "nix", State: Missing, Found: version + ": libre needs 2.8 or newer", Fix: website}}
	}
	checks := []Check{ok("nix", version)}
	if err := s.Nix.TryEvaluation(ctx); err != nil {
		checks = append(checks, Check{Name: "nix evaluation", State: Missing, Found: err.Error(), Fix: "correct what nix reports, " + website})
	} else {
		checks = append(checks, ok("nix evaluation", "evaluates a flake with an overridden input"))
	}
	settings, err := s.Nix.Settings(ctx)
	if err != nil {
		return checks
	}
	if sandbox := settings["sandbox"]; sandbox == "true" {
		checks = append(checks, ok("nix sandbox", "sandbox = true"))
	} else {
		checks = append(checks, Check{Name: "nix sandbox", State: Note, Found: "sandbox = " + sandbox + ": builds can see this machine", Fix: "sandbox = true in /etc/nix/nix.conf"})
	}
	if settings["max-jobs"] == "1" && runtime.NumCPU() > 1 {
		checks = append(checks, Check{Name: "nix jobs", State: Note, Found: fmt.Sprintf("max-jobs = 1: nix builds one derivation at a time, on %d cores", runtime.NumCPU()), Fix: "max-jobs = auto in /etc/nix/nix.conf"})
	}
	return append(checks, s.builders(ctx, settings)...)
}

// builders checks the connections to remote builders. Nix's builds may run as another user.
func (s Subject) builders(ctx context.Context, settings map[string]string) (checks []Check) {
	for _, trial := range s.Nix.TryBuilders(ctx, settings) {
		check := ok("builder", fmt.Sprintf("%s builds for %s", trial.Address, strings.Join(trial.Systems, ", ")))
		switch {
		case trial.Err != nil:
			check.State, check.Found = Note, fmt.Sprintf("this user cannot connect to %s: %v", trial.Address, trial.Err)
			check.Fix = "try ssh " + trial.Login + ", also as the user that runs Nix's builds"
		case trial.OwnStore != nil:
			check.State, check.Found = Note, fmt.Sprintf("%s, and Nix copies each output back, since nix-daemon does not answer: %v", check.Found, trial.OwnStore)
			check.Fix = "let its account run nix-daemon --stdio"
		}
		checks = append(checks, check)
	}
	return checks
}

// nixpkgsTimeout is the time limit for downloading the package set.
const nixpkgsTimeout = time.Minute

// packageSet checks only the package set that is in use.
func (s Subject) packageSet(ctx context.Context) []Check {
	if s.PackageSet == nix.HostPackageName {
		parts, err := nix.FindHostParts(ctx)
		if err != nil {
			check := failure("host package set", Missing, err, "")
			check.Found = strings.TrimPrefix(check.Found, "host package set: ")
			return []Check{check}
		}
		return []Check{ok("host package set", fmt.Sprintf("Go %s, busybox %s, %s", parts.GoVer, parts.BoxVer, parts.CACerts))}
	}
	if s.Dir == "" {
		return nil
	}
	const name, fix = "nixpkgs", fixNetwork + ", or use --package-set host"
	ctx, cancel := context.WithTimeout(ctx, nixpkgsTimeout)
	defer cancel()
	err := s.Nix.TryNixpkgs(ctx, s.Dir)
	switch {
	case err == nil:
		return []Check{ok(name, "the input of flake.lock can be fetched")}
	case timedOut(ctx):
		return []Check{{Name: name, State: Wrong, Found: fmt.Sprintf("not fetched within %d seconds", nixpkgsTimeout/time.Second), Fix: fix, Err: err}}
	case errors.Is(err, os.ErrNotExist):
		return []Check{{Name: name, State: Wrong, Found: "flake.lock is missing, and libre refuses inputs that are not locked", Fix: "nix flake lock", Err: err}}
	}
	check := failure(name, Wrong, err, fix)
	if _, why, found := strings.Cut(check.Found, ": "); found {
		check.Found = why // without the path of the evaluated temporary folder
	}
	check.Found = "cannot be fetched: " + check.Found
	return []Check{check}
}

func (s Subject) git(ctx context.Context) []Check {
	const name = "git"
	if _, err := exec.LookPath("git"); err != nil {
		return []Check{{Name: name, State: Missing, Found: "not found", Fix: "apt-get install git"}}
	}
	if s.Dir == "" {
		return nil
	}
	changes, err := git.Output(ctx, s.Dir, "status", "--porcelain")
	if errors.Is(err, git.ErrNoRepository) {
		return []Check{{Name: name, State: Note, Found: "the catalogue is not in a git repository: nix copies all of it on every run", Fix: fault.Fix(err)}}
	}
	if err != nil {
		return []Check{{Name: name, State: Missing, Found: fault.Reason(err), Fix: fault.Fix(err)}}
	}
	if untracked := nix.UntrackedApps(s.Dir); len(untracked) > 0 {
		return []Check{{Name: name, State: Note, Found: "not tracked by git, so nix does not see: apps/" + strings.Join(untracked, ", apps/"), Fix: "git add apps/" + strings.Join(untracked, " apps/")}}
	}
	if changes != "" {
		return []Check{ok(name, "tracked, with uncommitted changes")}
	}
	return []Check{ok(name, "tracked and committed")}
}

// patch looks for the program patch, with which bump tries patches.
func patch() Check {
	path, err := exec.LookPath("patch")
	if err != nil {
		return Check{Name: "patch", State: Note, Found: "not found: bump cannot try patches on a new source", Fix: "apt-get install patch"}
	}
	return ok("patch", path)
}

// writable tries to make a file in a folder or, if it does not exist, in the nearest existing
// folder above it.
func writable(name, dir string) Check {
	existing := dir
	for existing != filepath.Dir(existing) {
		if _, err := os.Stat(existing); err == nil {
			break
		}
		existing = filepath.Dir(existing)
	}
	probe, err := os.CreateTemp(existing, ".libre-doctor-")
	if err != nil {
		return Check{Name: name, State: Missing, Found: "cannot write to " + dir, Fix: "chown -R $USER " + existing}
	}
	probe.Close()
	os.Remove(probe.Name())
	return ok(name, dir)
}
