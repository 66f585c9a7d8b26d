package containerfile

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"github.com/libresh/libre/internal/private"
	"github.com/libresh/libre/internal/process"
)

const tailLines = 20

var errDeadline = context.DeadlineExceeded

// output takes what the children of one build write: all of it into the log,
// the last lines into memory, the steps to whoever watches.
type output struct {
	ctx  context.Context
	path string
	step func(line string)
	disk string // where the engine writes, for the error that it is full
	mask mask   // of what neither the log nor anybody else is told

	mu    sync.Mutex
	log   *os.File // nil: nowhere
	part  []byte   // a line that has not ended yet
	lines []string
	err   error // of writing the log
}

func newOutput(ctx context.Context, path string, step func(string)) (*output, error) {
	o := &output{ctx: ctx, path: path, step: step}
	if path == "" {
		return o, nil
	}
	err := private.Folder(filepath.Dir(path))
	if err == nil {
		o.log, err = private.Create(path)
	}
	if err != nil {
		return nil, fmt.Errorf("writing the build log: %w", err)
	}
	return o, nil
}

// Write never fails: a full disk must not end the child by SIGPIPE before it
// has said so itself. What is told begins with whole lines, in which a value that is
// masked is found; of a line without end its last part is kept back for that.
func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.part = append(o.part, p...)
	for {
		i := bytes.IndexByte(o.part, '\n')
		if i < 0 {
			break
		}
		o.line(string(o.part[:i+1]))
		o.part = o.part[i+1:]
	}
	if most := 64<<10 + o.mask.longest; len(o.part) >= most {
		text := o.mask.apply(string(o.part))
		kept := min(o.mask.longest, len(text))
		o.line(text[:len(text)-kept])
		o.part = []byte(text[len(text)-kept:])
	}
	return len(p), nil
}

func (o *output) line(raw string) {
	raw = o.mask.apply(raw)
	if o.log != nil && o.err == nil {
		_, o.err = o.log.WriteString(raw)
	}
	line := clean(raw)
	if o.lines = append(o.lines, line); len(o.lines) > 4*tailLines {
		o.lines = append([]string(nil), o.lines[len(o.lines)-tailLines:]...)
	}
	if o.step != nil {
		o.step(line)
	}
}

func (o *output) tail() []string {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.flush()
	lines := o.lines[max(0, len(o.lines)-tailLines):]
	return append([]string(nil), lines...)
}

// forget drops the lines so far, so that an error shows those of the child
// that failed.
func (o *output) forget() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.flush()
	o.lines = nil
}

// flush tells a line that has not ended.
func (o *output) flush() {
	if len(o.part) > 0 {
		o.line(string(o.part))
		o.part = nil
	}
}

func (o *output) Close() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.flush()
	if o.log == nil {
		return nil
	}
	return o.log.Close()
}

// child is a process to run.
type child struct {
	path   string
	args   []string
	env    []string
	stdin  io.Reader
	stdout io.Writer // nil: with stderr, into the output

	attributes *syscall.SysProcAttr // nil: those of every program
	confined   *confinement         // confine.sh runs it
}

// run runs c to its end. When out's context ends, c's whole process group is
// told to end, and killed when it does not.
func run(c child, out *output) error {
	out.forget()
	if out.log != nil {
		fmt.Fprintf(out.log, "+ %s\n", out.mask.apply(quoteAll(append([]string{filepath.Base(c.path)}, c.args...))))
	}
	cmd := process.Command(out.ctx, c.path, c.args...)
	cmd.Env = c.env
	cmd.Stdin = c.stdin
	if c.attributes != nil {
		attributes := *c.attributes
		attributes.Setpgid = true
		cmd.SysProcAttr = &attributes
	}
	if c.confined == nil { // confine.sh sees to it that it ends with libre
		cmd.SysProcAttr.Pdeathsig = syscall.SIGKILL
	}
	cmd.Stdout, cmd.Stderr = io.Writer(out), out
	if c.stdout != nil {
		cmd.Stdout = c.stdout
	}
	err := start(cmd, c)
	if err != nil {
		return err
	}
	err = cmd.Wait()
	if out.ctx.Err() != nil {
		// What a RUN step started may ignore SIGTERM and outlive the engine.
		syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
	}
	return err
}

// start starts c. What a confined one prints is read before it is waited for.
func start(cmd *exec.Cmd, c child) error {
	if c.confined == nil {
		return cmd.Start()
	}
	to := cmd.Stdout
	cmd.Stdout, cmd.Stdin = nil, nil
	rest, err := c.confined.connect(cmd, to)
	if err == nil {
		rest()
	}
	return err
}

// query runs c and returns what it prints, without the white space around it.
func query(c child, out *output) (string, error) {
	var stdout bytes.Buffer
	c.stdout = &stdout
	err := run(c, out)
	return strings.TrimSpace(stdout.String()), err
}

func quoteAll(args []string) string {
	quoted := make([]string, len(args))
	for i, a := range args {
		quoted[i] = a
		if a == "" || strings.ContainsFunc(a, func(r rune) bool {
			return !strings.ContainsRune("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_=/:.,@+%", r)
		}) {
			quoted[i] = strconv.Quote(a)
		}
	}
	return strings.Join(quoted, " ")
}

// passed are variables that engines get, beside those of every program. Settings such
// as BUILDAH_FORMAT or STORAGE_OPTS stay out: they would change what is built.
var passed = []string{"REGISTRY_AUTH_FILE", "CONTAINERS_REGISTRIES_CONF", "CONTAINERS_CONF", "DOCKER_*", "BUILDX_*", "BUILDKIT_HOST",
	"_CONTAINERS_*"}

// ownStorage are those that choose the user's own storage, where TMPDIR is one
// of podman's places for what it keeps until the next boot: for Load only.
var ownStorage = []string{"TMPDIR", "CONTAINERS_STORAGE_CONF", "STORAGE_DRIVER", "STORAGE_OPTS", "CONTAINER_HOST", "CONTAINER_CONNECTION"}

// environment is what a child gets of ours, and more.
func environment(more ...string) []string {
	return slices.DeleteFunc(process.Environment(slices.Concat(passed, more)...), func(variable string) bool {
		name, value, _ := strings.Cut(variable, "=")
		switch name {
		case "TMPDIR":
			return !slices.Contains(more, name)
		case "DOCKER_CONFIG":
			return !exists(filepath.Join(value, "config.json")) // buildah fails for want of the file
		}
		return false
	})
}
