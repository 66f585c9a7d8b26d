package nix

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// Output is the path that a derivation makes.
type Output struct{ Drv, Path string }

// BuildFailure is a derivation that did not build.
type BuildFailure struct {
	Drv     string
	Message string   // one line
	Tail    []string // last lines of the builder's output
	Log     string   // file with the whole output, "" where there was none

	// Of a fixed output that has another hash, both as Nix prints them; else "".
	Wanted, Got string
}

func (f *BuildFailure) Error() string { return "building " + DrvName(f.Drv) + ": " + f.Message }

// DrvName is a derivation's name, without hash and extension.
func DrvName(drv string) string {
	_, name, _ := strings.Cut(filepath.Base(strings.TrimSuffix(drv, ".drv")), "-")
	return name
}

const tailLines = 10

// Realise builds or downloads outputs with one nix command, so that Nix
// schedules, and goes on after failures. roots is a folder for GC roots that hold
// the outputs; whoever made it removes it. The failures are those of the
// derivations themselves, by derivation path; which outputs there are in the end
// is to be asked with [Nix.Valid].
func (n *Nix) Realise(ctx context.Context, outputs []Output, roots string, on func(LogEvent)) (map[string]*BuildFailure, error) {
	realise := storeCall("--realise --keep-going")
	for _, output := range outputs {
		if output.Drv != "" {
			realise.arguments = append(realise.arguments, output.Drv+"!out")
		}
	}
	failures := map[string]*BuildFailure{}
	if len(realise.arguments) == 0 {
		return failures, nil
	}
	realise.flags = []string{"--log-format", "internal-json", "--indirect", "--add-root", filepath.Join(roots, "root")}
	cmd := n.command(ctx, realise)
	stderr, err := cmd.StderrPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, n.failure(ctx, "building", err, "")
	}
	watcher := watcher{logDir: n.LogDir, builds: map[string]*buildLog{}, failures: failures, on: on}
	watcher.watch(stderr)
	err = cmd.Wait()
	if err == nil {
		return failures, nil
	}
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if len(failures) == 0 {
		return nil, n.failure(ctx, "building", err, strings.Join(watcher.errors, "\n"))
	}
	return failures, nil
}

// watcher follows nix's log, and keeps the output of builds that fail.
type watcher struct {
	logDir   string
	builds   map[string]*buildLog
	failures map[string]*BuildFailure
	errors   []string
	on       func(LogEvent)
}

type buildLog struct {
	file *os.File // nil where it cannot be written
	tail []string
}

func (w *watcher) watch(stderr io.Reader) {
	var parser LogParser
	lines := bufio.NewReader(stderr)
	for {
		line, err := lines.ReadBytes('\n')
		if len(line) > 0 {
			if event, ok := parser.Line(line); ok {
				w.event(event)
			}
		}
		if err != nil {
			break
		}
	}
	for drv, build := range w.builds {
		build.close(w.failures[drv] == nil)
	}
}

func (w *watcher) event(event LogEvent) {
	switch event.Kind {
	case LogBuildLine:
		build := w.builds[event.Drv]
		if build == nil {
			build = w.open(event.Drv)
			w.builds[event.Drv] = build
		}
		build.line(event.Text)
	case LogBuildFailed:
		w.fail(event.Drv, event.Text)
	case LogMessage:
		if event.Level == LogError {
			w.errors = append(w.errors, "error: "+event.Text)
		}
	}
	w.on(event)
}

// fail records why a derivation failed: the last line of its output says more
// than nix's exit code, a hash mismatch says it all.
func (w *watcher) fail(drv, message string) {
	if w.failures[drv] != nil {
		return
	}
	failure := &BuildFailure{Drv: drv, Message: firstLine(message)}
	w.failures[drv] = failure
	build := w.builds[drv]
	if build != nil && build.file != nil {
		failure.Log = build.file.Name()
	}
	if _, wanted, got, ok := HashMismatch(message); ok {
		failure.Wanted, failure.Got = wanted, got
		failure.Message = fmt.Sprintf("hash mismatch: the definition has %s, the source is %s", wanted, got)
	} else if build != nil && len(build.tail) > 0 {
		failure.Tail = build.tail
		failure.Message = build.tail[len(build.tail)-1]
	}
}

func firstLine(text string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(text), "\n")
	return line
}

func (w *watcher) open(drv string) *buildLog {
	name := filepath.Base(strings.TrimSuffix(drv, ".drv")) + ".log"
	if os.MkdirAll(w.logDir, 0o755) != nil {
		return &buildLog{}
	}
	file, err := os.Create(filepath.Join(w.logDir, name))
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
