package nix

import (
	"bufio"
	"cmp"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/libresh/libre/internal/private"
)

// Output is the output path of a derivation.
type Output struct{ Drv, Path string }

// BuildFailure is the failed build of a derivation.
type BuildFailure struct {
	Drv     string
	Message string   // one line
	Tail    []string // last lines of the builder's output
	Log     string   // path of the builder's full output, "" if there was none

	// Wanted and Got are the hashes of a mismatch, as Nix prints them; else "".
	Wanted, Got string
}

func (f *BuildFailure) Error() string { return "building " + DrvName(f.Drv) + ": " + f.Message }

// DrvName returns a derivation's name, without hash and extension.
func DrvName(drv string) string {
	_, name, _ := strings.Cut(filepath.Base(strings.TrimSuffix(drv, ".drv")), "-")
	return name
}

const tailLines = 10

// Realise builds or downloads outputs, and continues after failures. One nix command does all,
// so that Nix schedules them, except what one remote builder alone can build. roots is a folder
// for GC roots of the outputs; the caller removes it. Realise returns the derivations' own
// failures, by derivation path; use [Nix.Valid] to find the outputs that exist. options are
// additional ones for nix-store, which remote stores would not get: with them the one command
// does all.
func (n *Nix) Realise(ctx context.Context, outputs []Output, roots string, on func(LogEvent), options ...string) (map[string]*BuildFailure, error) {
	system, _ := MachineSystem()
	watcher := &watcher{nix: n, system: system, missing: &missingReader{}, failures: map[string]*BuildFailure{}, on: on}
	tried := map[string]bool{} // derivations that libre tried to fetch with a login
	for {
		known := len(watcher.failures)
		watcher.begin()
		var err error
		if len(options) > 0 {
			err = n.realise(ctx, outputs, roots, watcher, options)
		} else {
			err = n.realiseDivided(ctx, outputs, roots, watcher)
		}
		watcher.end()
		if ctx.Err() != nil {
			return watcher.failures, ctx.Err()
		}
		if len(watcher.failures) == known {
			if err != nil {
				return nil, err
			}
			return watcher.failures, nil
		}
		fetched, err := n.fetchFailed(ctx, watcher.failures, tried)
		if err != nil {
			return nil, err
		}
		// Some failures end nix at once, despite --keep-going.
		if outputs, err = n.remainingOutputs(ctx, outputs, watcher.failures, fetched); err != nil || len(outputs) == 0 {
			return watcher.failures, err
		}
	}
}

// realise runs nix once. It returns nix's own error; the watcher has the failures of
// derivations.
func (n *Nix) realise(ctx context.Context, outputs []Output, roots string, watcher *watcher, options []string) error {
	realise := realiseCall(outputs)
	if len(realise.arguments) == 0 {
		return nil
	}
	realise.flags = append(realise.flags, "--indirect", "--add-root", filepath.Join(roots, "root"))
	realise.flags = append(realise.flags, options...)
	err := n.follow(ctx, realise, watcher, watcher.event)
	watcher.mu.Lock()
	defer watcher.mu.Unlock()
	watcher.warnOfBuilders()
	if err != nil {
		return cmp.Or(watcher.remote.fault("building"), err)
	}
	return nil
}

// realiseCall returns the call that realises outputs.
func realiseCall(outputs []Output) call {
	realise := storeCall("--realise --keep-going")
	for _, output := range outputs {
		if output.Drv != "" {
			realise.arguments = append(realise.arguments, output.Drv+"!out")
		}
	}
	return realise
}

// follow runs a call, and calls on for each event of its log, with the watcher locked.
func (n *Nix) follow(ctx context.Context, c call, watcher *watcher, on func(LogEvent), environment ...string) error {
	c.flags = append(c.flags, "--log-format", "internal-json")
	cmd := n.command(ctx, c)
	cmd.Env = append(cmd.Env, environment...)
	stderr, err := cmd.StderrPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return n.failure(ctx, "building", err, "")
	}
	errors := watcher.watch(stderr, on)
	if err := cmd.Wait(); err != nil {
		return n.failure(ctx, "building", err, strings.Join(errors, "\n"))
	}
	return nil
}

// remainingOutputs returns the outputs that are not valid, although no dependency failed,
// and those of fetched derivations, which have no GC root yet.
func (n *Nix) remainingOutputs(ctx context.Context, outputs []Output, failures map[string]*BuildFailure, fetched []string) ([]Output, error) {
	valid, err := n.Valid(ctx, PathsOf(outputs))
	if err != nil {
		return nil, err
	}
	var left []Output
	for _, output := range outputs {
		if output.Drv != "" && (!valid[output.Path] || slices.Contains(fetched, output.Drv)) && failureBelow(output.Drv, failures) == nil {
			left = append(left, output)
		}
	}
	return left, nil
}

// PathsOf returns the paths of outputs.
func PathsOf(outputs []Output) (paths []string) {
	for _, output := range outputs {
		if output.Path != "" {
			paths = append(paths, output.Path)
		}
	}
	return paths
}

// watcher follows the logs of nix commands, several at a time, and keeps the output of failed
// builds.
type watcher struct {
	mu       sync.Mutex
	nix      *Nix
	parser   LogParser
	missing  *missingReader // nil after it was reported
	builds   map[string]*buildLog
	failures map[string]*BuildFailure
	errors   []string
	remote   remoteBuilds
	system   string // of this machine
	on       func(LogEvent)
}

type buildLog struct {
	file *os.File // nil if it cannot be written
	tail []string
}

// begin prepares for commands, and end closes the logs of their builds.
func (w *watcher) begin() {
	w.parser, w.builds, w.errors = LogParser{}, map[string]*buildLog{}, nil
}

func (w *watcher) end() {
	for drv, build := range w.builds {
		build.close(w.failures[drv] == nil)
	}
}

// watch reads the log of a command, and returns its errors.
func (w *watcher) watch(stderr io.Reader, on func(LogEvent)) (errors []string) {
	lines := bufio.NewReader(stderr)
	for {
		line, err := lines.ReadBytes('\n')
		if len(line) > 0 {
			w.mu.Lock()
			if event, ok := w.parser.Line(line); ok {
				before := len(w.errors)
				on(event)
				errors = append(errors, w.errors[before:]...)
			}
			w.mu.Unlock()
		}
		if err != nil {
			return errors
		}
	}
}

// announce reports what Nix will do, once.
func (w *watcher) announce(missing *Missing) {
	if w.missing == nil {
		return
	}
	if len(missing.Build) > 0 {
		w.nix.warnOfSandbox()
	}
	w.on(LogEvent{Kind: LogMissing, Missing: missing})
	w.missing = nil
}

// tell reports an event that is in no log.
func (w *watcher) tell(event LogEvent) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.on(event)
}

// notFailed returns the outputs whose derivations and dependencies have not failed.
func (w *watcher) notFailed(outputs []Output) (left []Output) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, output := range outputs {
		if failureBelow(output.Drv, w.failures) == nil {
			left = append(left, output)
		}
	}
	return left
}

func (w *watcher) event(event LogEvent) {
	if w.missing != nil {
		if w.missing.read(event) {
			return
		}
		if w.missing.list != nil {
			w.announce(&w.missing.missing)
		}
	}
	switch event.Kind {
	case LogBuildLine:
		build := w.builds[event.Drv]
		if build == nil {
			build = w.open(event.Drv)
			w.builds[event.Drv] = build
		}
		build.line(event.Text)
	case LogBuildFailed:
		event.Failure = w.fail(event.Drv, event.Text)
	case LogMessage:
		if w.remote.read(event) {
			if w.remote.without[w.system] {
				w.warnOfBuilders() // now: a build on this machine may take long
			}
			return
		}
		switch event.Level {
		case LogError:
			w.errors = append(w.errors, "error: "+event.Text)
		case LogWarning:
			w.nix.warn(event.Text)
		}
	}
	w.on(event)
}

// fail records why a derivation failed: a hash mismatch, or the last line of the builder's
// output, which is clearer than nix's exit code.
func (w *watcher) fail(drv, message string) *BuildFailure {
	if w.failures[drv] != nil {
		return w.failures[drv]
	}
	refused, byRemote := w.remote.refused[drv]
	if byRemote {
		message = refused.reason // the remote builder's message, which is clearer
	}
	failure := &BuildFailure{Drv: drv, Message: firstLine(message)}
	w.failures[drv] = failure
	build := w.builds[drv]
	if build != nil && build.file != nil {
		failure.Log = build.file.Name()
	}
	if _, wanted, got, ok := HashMismatch(message); ok {
		failure.Wanted, failure.Got = wanted, got
		failure.Message = mismatch(wanted, got)
	} else if strings.HasPrefix(message, "some substitutes") {
		failure.Message = w.substituteFailure()
	} else if other, ok := w.remote.otherSystem(drv, message); ok {
		failure.Message = other
	} else if build != nil && len(build.tail) > 0 {
		failure.Tail = build.tail
		failure.Message = build.tail[len(build.tail)-1]
	}
	if ended, ok := builderEnd(message, failure.Tail); ok {
		failure.Message = ended
		if byRemote {
			failure.Message = "on the machine " + refused.builder + ": " + ended
		}
	}
	return failure
}

func mismatch(wanted, got string) string {
	return fmt.Sprintf("hash mismatch: the definition has %s, the source is %s", wanted, got)
}

// substituteFailure explains why a substituter could not deliver a path.
func (w *watcher) substituteFailure() string {
	why := ""
	if len(w.errors) > 0 {
		why = " (" + firstLine(strings.TrimPrefix(w.errors[len(w.errors)-1], "error: ")) + ")"
	}
	return "a substituter has it, but cannot deliver it" + why + `: try again, or set "fallback = true" in nix.conf to build it`
}

func firstLine(text string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(text), "\n")
	return line
}

func (w *watcher) open(drv string) *buildLog {
	name := filepath.Base(strings.TrimSuffix(drv, ".drv")) + ".log"
	if private.Folder(w.nix.LogDir) != nil {
		return &buildLog{}
	}
	file, err := private.Create(filepath.Join(w.nix.LogDir, name))
	if err != nil {
		return &buildLog{}
	}
	return &buildLog{file: file}
}

func (b *buildLog) line(text string) {
	if b.file != nil {
		fmt.Fprintln(b.file, text)
	}
	b.tail = append(b.tail, text)
	if len(b.tail) > tailLines {
		b.tail = b.tail[1:]
	}
}

func (b *buildLog) close(succeeded bool) {
	if b.file == nil {
		return
	}
	b.file.Close()
	if succeeded {
		os.Remove(b.file.Name())
	}
}
