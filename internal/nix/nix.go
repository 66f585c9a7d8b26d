// Package nix runs nix: it evaluates catalogues, realises derivations, reads closures from
// the store and adds sources to it. It supports Nix 2.8 to 2.34 and Lix, and parses their
// output by its form, not by their version.
package nix

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/libresh/libre/internal/fault"
	"github.com/libresh/libre/internal/git"
	"github.com/libresh/libre/internal/lazyregexp"
	"github.com/libresh/libre/internal/process"
	"github.com/libresh/libre/internal/text"
)

// Nix runs the nix of this machine.
type Nix struct {
	Options    []string // passed to every command, such as --builders SPEC
	CacheDir   string   // cache of sources in the store
	OutcomeDir string   // cache of evaluations; "": no cache
	LogDir     string   // full logs of failed builds and evaluations

	AllowLocalInputs bool   // allow catalogues to use local files as inputs
	Compression      string // of the layers of all images; see catalog.Spec

	// Fetcher returns the fetcher for sources that need a login; it is called after Nix
	// failed to fetch one. It may be nil, and may return nil.
	Fetcher func() (Fetcher, error)

	Warn   func(warning string) // is called with Nix's warnings, each kind once; may be nil
	warned sync.Map             // kinds of warnings that were reported

	read readPaths
}

// ErrMissing means that nix is not installed.
var ErrMissing = errors.New("nix is not installed: apt-get install nix-bin, or see https://nixos.org/download")

// Error is a failed nix command.
type Error struct {
	Doing   string // what failed
	Message string // Nix's own error, one line, without terminal escapes
	Fetch   bool   // a download failed
	Log     string // path of the full log; "" if Message says everything

	output string // log of an evaluation that failed outside of the catalogue
}

func (e *Error) Error() string { return e.Doing + ": " + withLog(e.Message, e.Log) }

// passed lists variables for programs that nix starts, and for builds; caches in S3 need
// credentials.
var passed = slices.Concat(process.Git, process.Go, []string{"AWS_*"})

// pathsAtOnce is the number of store paths in one command: a command line has a limit.
const pathsAtOnce = 1000

// call is one run of a nix program. Its arguments come after all flags: from 2.26 on Nix
// resolves a flake reference while it parses the command line, with only the features and
// options before it.
type call struct {
	program   string   // nix or nix-store
	operation []string // such as eval, flake lock or --realise; nix-store wants it first
	flags     []string // of the operation
	inputs    []Override
	arguments []string // installables or store paths
}

// storeCall returns a call of nix-store: an operation with its flags, such as
// "--query --hash".
func storeCall(operation string, paths ...string) call {
	return call{program: "nix-store", operation: strings.Fields(operation), arguments: paths}
}

// commandLine returns the arguments of a call. It includes options and features, so that
// no setting of the machine is needed.
func (n *Nix) commandLine(c call) []string {
	flags := []string{"--option", "warn-dirty", "false"}
	if c.program == "nix" {
		flags = append(flags, "--extra-experimental-features", "nix-command flakes",
			"--option", "accept-flake-config", "false") // a stranger's flake could make the evaluation impure
	}
	if os.Geteuid() == 0 {
		if _, err := user.LookupGroup("nixbld"); err != nil {
			// Debian's nix-bin has no build users; builds run as root in the sandbox.
			flags = append(flags, "--option", "build-users-group", "")
		}
	}
	line := slices.Concat(c.operation, flags, n.Options, c.flags)
	for _, override := range c.inputs {
		line = append(line, "--override-input", override.Input, override.Ref)
	}
	return append(line, c.arguments...)
}

var accessTokens = lazyregexp.New(`(?m)^\s*(extra-)?access-tokens\s*=.*$`)

// command prepares a call. Ctrl-C reaches nix once, and nix ends its builders.
func (n *Nix) command(ctx context.Context, c call) *exec.Cmd {
	cmd := process.Command(ctx, c.program, n.commandLine(c)...)
	cmd.Env = process.Environment(passed...)
	if config := os.Getenv("NIX_CONFIG"); c.program == "nix-store" && config != "" {
		// Builds may read the variable, and need no login.
		cmd.Env = append(cmd.Env, "NIX_CONFIG="+accessTokens().ReplaceAllString(config, ""))
	}
	return cmd
}

// run runs a command and returns its standard output. doing describes it for errors;
// environment is added to the usual one.
func (n *Nix) run(ctx context.Context, doing string, c call, environment ...string) ([]byte, error) {
	cmd := n.command(ctx, c)
	cmd.Env = append(cmd.Env, environment...)
	var out, log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &log
	if err := cmd.Run(); err != nil {
		return nil, n.failure(ctx, doing, err, log.String())
	}
	return out.Bytes(), nil
}

// errHiddenLogin means that a confined git needs a key or a login of this machine.
var errHiddenLogin = errors.New("a key or a login cannot be read, because libre hides them from catalogues")

// failure explains the failure of a command.
func (n *Nix) failure(ctx context.Context, doing string, err error, log string) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if errors.Is(err, exec.ErrNotFound) || errors.Is(err, ErrMissing) {
		return ErrMissing
	}
	var known *fault.Fault
	if errors.As(err, &known) {
		return err // it was not run
	}
	if known = git.Explain(log); known != nil {
		known.Doing = doing
		return known
	}
	if errors.As(err, new(*confinedError)) && git.CannotLogIn(log) {
		return &fault.Fault{Kind: fault.Credentials, Doing: doing, Err: errHiddenLogin,
			Fix: "add the key to an agent with ssh-add, or trust the catalogue and its inputs: --allow-local-inputs"}
	}
	message := lastError(log)
	if gitFailed().MatchString(message) {
		message += gitFatalLine(log)
	}
	if ofMachine := cmp.Or(machineFault(doing, message), signalled(doing, err)); ofMachine != nil {
		return ofMachine
	}
	if message == "" {
		message = fmt.Sprintf("nix ended with %s and gave no reason; check it with libre doctor", err)
	}
	return &Error{Doing: doing, Message: message, Fetch: fetchError().MatchString(message)}
}

var (
	fetchError = lazyregexp.New(`unable to download|[Cc]ould(n't| not) resolve|cannot (connect|fetch)|HTTP error|while fetching the input`)
	errorLine  = lazyregexp.New(`^\s*error: ?(.*)$`)
	placeLine  = lazyregexp.New(`^\s*at (\S+):(\d+):(\d+):?$`)
	gitFailed  = lazyregexp.New(`program 'git' failed|Git tree .* failed with exit code`) // the second up to 2.8
	sourcePath = lazyregexp.New(`/nix/store/[0-9a-z]{32}-source/|«[^»]*»/`)               // the second from 2.2x on, for lazy trees
)

// gitFatalLine returns git's own last line, for a message with only its exit code.
func gitFatalLine(log string) string {
	line := ""
	for l := range strings.Lines(text.Output(log)) {
		if l = strings.TrimSpace(l); strings.HasPrefix(l, "fatal: ") {
			line = ": " + l
		}
	}
	return line
}

// lastError finds Nix's own error in its output: newer versions print a trace first and the
// error last. It includes a position in a catalogue's file, but not that of a throw in
// libre's own code.
func lastError(log string) string {
	lines := strings.Split(text.Output(log), "\n")
	message, position := "", ""
	for i, line := range lines {
		found := errorLine().FindStringSubmatch(line)
		if found == nil || strings.TrimSpace(found[1]) == "" {
			continue
		}
		message, position = strings.TrimSpace(found[1]), ""
		for _, next := range lines[i+1:] {
			if errorLine().MatchString(next) {
				break
			}
			if at := placeLine().FindStringSubmatch(next); at != nil {
				position = strings.Join(at[1:], ":")
				break
			}
		}
	}
	if position != "" && strings.Contains(position, "/apps/") {
		message = position + ": " + message
	}
	return sourcePath().ReplaceAllString(message, "")
}

// Version returns the output of `nix --version`, such as "nix (Nix) 2.8.0". It is cached for a
// binary; a script may start another Nix each time.
func (n *Nix) Version(ctx context.Context) (string, error) {
	asked := call{program: "nix", operation: []string{"--version"}}
	path := n.command(ctx, asked).Path
	program, err := identity(path)
	known := err == nil && !isScript(path)
	var version string
	if known && n.recall("version", program, &version) {
		return version, nil
	}
	out, err := n.run(ctx, "running nix --version", asked)
	if version = strings.TrimSpace(string(out)); err == nil && known {
		n.remember("version", program, version)
	}
	return version, err
}

// isScript reports whether a program begins like a script, or cannot be read.
func isScript(program string) bool {
	f, err := os.Open(program)
	if err != nil {
		return true
	}
	defer f.Close()
	start := make([]byte, 2)
	_, err = io.ReadFull(f, start)
	return err != nil || string(start) == "#!"
}

// Supported reports whether a version, as Version returns it, is 2.8 or newer. Lix and
// other forks continue from version 2.18.
func Supported(version string) bool {
	major, minor, ok := versionNumbers(version)
	return ok && (major > 2 || major == 2 && minor >= 8)
}

// versionNumbers returns the first two numbers of a version, as Version returns it.
func versionNumbers(version string) (major, minor int, ok bool) {
	n, _ := fmt.Sscanf(version[strings.LastIndex(version, " ")+1:], "%d.%d", &major, &minor)
	return major, minor, n == 2
}

// Settings returns Nix's settings as nix.conf writes them: a list is separated by spaces.
func (n *Nix) Settings(ctx context.Context) (map[string]string, error) {
	const doing = "reading nix's settings"
	out, err := n.run(ctx, doing, call{program: "nix", operation: []string{"show-config"}, flags: []string{"--json"}})
	if err != nil {
		out, err = n.run(ctx, doing, call{program: "nix", operation: []string{"config", "show"}, flags: []string{"--json"}}) // its name from 2.20 on
	}
	if err != nil {
		return nil, err
	}
	var printed map[string]struct{ Value any }
	numbers := json.NewDecoder(bytes.NewReader(out))
	numbers.UseNumber()
	if err := numbers.Decode(&printed); err != nil {
		return nil, fmt.Errorf("%s: %w", doing, err)
	}
	settings := map[string]string{}
	for name, setting := range printed {
		if list, isList := setting.Value.([]any); isList {
			settings[name] = strings.Trim(fmt.Sprint(list), "[]")
		} else {
			settings[name] = fmt.Sprint(setting.Value)
		}
	}
	return settings, nil
}

// AddSource adds a folder to the store under the name "source": only with this name Nix
// uses a path: input in place instead of copying it again.
func (n *Nix) AddSource(ctx context.Context, dir string) (StoreSource, error) {
	named, err := os.MkdirTemp("", "libre-add-")
	if err != nil {
		return StoreSource{}, err
	}
	defer os.RemoveAll(named)
	source := filepath.Join(named, "source")
	if err := copyTree(source, dir); err != nil {
		return StoreSource{}, fmt.Errorf("copying %s: %w", dir, err)
	}
	doing := "adding " + dir + " to the nix store"
	out, err := n.run(ctx, doing, storeCall("--add", source))
	if err != nil {
		return StoreSource{}, err
	}
	path := strings.TrimSpace(string(out))
	out, err = n.run(ctx, doing, storeCall("--query --hash", path))
	if err != nil {
		return StoreSource{}, err
	}
	narHash, err := sriHash(strings.TrimSpace(string(out)))
	return StoreSource{Path: path, NarHash: narHash}, err
}

// copyTree copies files and folders, links followed: a toolchain in /usr/lib may have
// links into /usr/share.
func copyTree(to, from string) error {
	return filepath.WalkDir(from, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		relative, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		target := filepath.Join(to, relative)
		info, err := os.Stat(path)
		if err != nil {
			return err
		}
		if info.IsDir() {
			if entry.Type()&fs.ModeSymlink != 0 {
				return copyTree(target, path+"/.")
			}
			return os.MkdirAll(target, 0o755)
		}
		return copyFile(target, path, info.Mode().Perm()|0o600)
	})
}

func copyFile(to, from string, perm fs.FileMode) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, perm)
	if err != nil {
		return err
	}
	defer out.Close()
	if _, err := io.Copy(out, in); err != nil {
		return err
	}
	return out.Close()
}
