// Package run starts an app on this machine: its services as containers, the servers of its
// needs, and a router for its routes, on one port. What it starts it also ends.
package run

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/libresh/libre/internal/compose"
	"github.com/libresh/libre/internal/describe"
	"github.com/libresh/libre/internal/fault"
	"github.com/libresh/libre/internal/instance"
	"github.com/libresh/libre/internal/oci/layout"
	"github.com/libresh/libre/internal/run/engine"
	"github.com/libresh/libre/internal/run/server"
)

// Options say what to run, and how.
type Options struct {
	Instance *instance.Instance
	Layout   *layout.Layout    // with the app's images
	Engine   string            // podman, docker or runc
	Images   map[string]string // of servers, by the kind of need; those of compose are the default
	Dir      string            // for data, which only this user can read
	Keep     bool              // keeps the data
	Random   func() string     // a new secret: letters and digits
	Listener net.Listener      // for requests
	Watcher  Watcher
}

// Watcher is told what happens. Its methods are called from several goroutines.
type Watcher interface {
	State(name string, state State, message string)
	Note(text string)
	Log(service, line string) // a line of a service's output, as it is
}

// State is the state of a server, a job or a service.
type State int

const (
	Starting State = iota
	Ready          // it answers
	Ended          // a job has done its work
)

// Run starts an app, calls ready once all of it answers, and returns when ctx has ended or
// something has failed. All that was started has ended then.
func Run(ctx context.Context, o Options, ready func() error) (err error) {
	h, err := openHome(o.Dir, o.Keep)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, h.close(err)) }()
	if h.wasKept && !o.Keep {
		o.Watcher.Note("this run uses the data that an earlier run kept, and removes it at the end; give --keep to keep it")
	}
	r := &runner{Options: o, home: h, failed: make(chan error, 1)}
	defer func() { err = errors.Join(err, r.close()) }()
	if err := r.start(ctx); err != nil {
		return err
	}
	if err := ready(); err != nil {
		return err
	}
	select {
	case <-ctx.Done():
		return nil
	case err := <-r.failed:
		return err
	}
}

// runner is the state of a run.
type runner struct {
	Options
	home     *home
	project  *compose.Project
	engine   engine.Engine
	outside  []string                     // needs that this machine's own servers provide, sorted
	servers  []*server.Server             // theirs
	parts    map[string]map[string]string // of needs: first of those whose servers run outside
	outputs  map[string]*output
	running  map[string]engine.Process
	finished map[string]bool
	failed   chan error              // the first container that ended by itself
	sites    map[string]http.Handler // of servers that browsers reach, by host name
	inner    *http.Server            // of sites, for containers; nil for none
}

// start starts everything, in the order in which one waits for another.
func (r *runner) start(ctx context.Context) error {
	r.outputs, r.running, r.finished = map[string]*output{}, map[string]engine.Process{}, map[string]bool{}
	if err := r.openEngine(ctx); err != nil {
		return err
	}
	for _, step := range []func(context.Context) error{r.chooseServers, r.startServers, r.resolve, r.join} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	for _, name := range r.order() {
		if err := r.startService(ctx, name); err != nil {
			return err
		}
	}
	for _, name := range r.order() {
		if err := r.awaitHealth(ctx, name); err != nil {
			return err
		}
	}
	if err := r.home.installed(); err != nil {
		return err
	}
	return r.serve(ctx)
}

// firstPort is the port of the first server that runs outside of the engine.
const firstPort = 7000

// port returns the port of a server, by its number. No server gets the port of the app.
func (r *runner) port(n int) int {
	port := firstPort + n
	if own := PortOf(r.Listener); own >= firstPort && own <= port {
		port++
	}
	return port
}

// startServers starts the servers that this machine has.
func (r *runner) startServers(ctx context.Context) error {
	r.parts = map[string]map[string]string{}
	for n, name := range r.outside {
		r.Watcher.State(name, Starting, "")
		o := server.Options{
			Need: r.Instance.Needs[name], Host: r.hostName(name), Port: r.port(n), App: r.Instance.App.Metadata.Name, URL: r.Instance.URL(),
			Site: r.siteURL(r.hostName(name)), Data: r.home.path("data", name), Sockets: r.home.sockets(), Output: r.output(name),
			Secret: func(part string) string { return r.home.secret(instance.PartVariable(name, part), r.Random) },
			Hint:   func(part string) string { return r.hint(name, part) },
		}
		started, err := server.Start(ctx, o)
		if err != nil {
			return fmt.Errorf("the need %s cannot be started here: %w", name, err)
		}
		r.servers = append(r.servers, started)
		r.parts[name] = started.Parts
		r.watch(name, started.Done, nil)
		r.Watcher.State(name, Ready, started.What)
	}
	return nil
}

// noteScheduled names the jobs that do not run here.
func (r *runner) noteScheduled() {
	for _, s := range r.Instance.Services {
		if s.Job == "scheduled" {
			r.Watcher.Note(fmt.Sprintf("the scheduled job %s (%s) does not run here", s.Name, s.Schedule))
		}
	}
}

// chooseServers decides which needs this machine's own servers provide: those for which the
// engine reaches no image.
func (r *runner) chooseServers(ctx context.Context) error {
	for _, name := range slices.Sorted(maps.Keys(r.Instance.Needs)) {
		need := r.Instance.Needs[name]
		if need.Kind == "volume" {
			continue
		}
		if !slices.Contains(server.Kinds(), need.Kind) {
			return unserved(name, need)
		}
		image := cmp.Or(r.Images[need.Kind], compose.DefaultImages[need.Kind])
		r.Watcher.State(name, Starting, image)
		if r.engine.Reach(ctx, image) != nil {
			r.outside = append(r.outside, name)
		}
	}
	return nil
}

// unserved returns the error for a need without a server.
func unserved(name string, need describe.Need) error {
	err := fmt.Errorf("the need %s of kind %s cannot be started here: there are servers for %s", name, need.Kind, strings.Join(server.Kinds(), ", "))
	if need.Optional {
		return &fault.Fault{Err: err, Fix: "leave out --with " + name}
	}
	return err
}

// hostName is how services call a server: not as one of them.
func (r *runner) hostName(need string) string {
	if _, taken := r.Instance.Service(need); taken {
		return "libre-" + need
	}
	return need
}

// resolve makes the Compose project of the run, and writes its secrets.
func (r *runner) resolve(context.Context) error {
	project, files, err := compose.New(r.Instance, compose.Options{Images: r.Images, Secrets: r.home.secrets, Random: r.Random, Provided: r.parts, Site: r.siteURL})
	if err != nil {
		return err
	}
	r.project, r.parts = project, project.Parts
	for name, s := range project.Services {
		if len(s.Profiles) > 0 && !r.wanted(s) {
			delete(project.Services, name)
		}
	}
	r.noteLogins()
	r.noteScheduled()
	return errors.Join(r.findSites(), r.home.write(files))
}

// hint says where a secret part of a need is.
func (r *runner) hint(need, part string) string {
	return instance.PartVariable(need, part) + " in " + r.home.path(compose.SecretsFile)
}

// noteLogins says how to log in where the provider is an image's, with the user of compose.
func (r *runner) noteLogins() {
	for _, name := range slices.Sorted(maps.Keys(r.Instance.Needs)) {
		if r.Instance.Needs[name].Kind == "oidc" && !slices.Contains(r.outside, name) {
			r.Watcher.Note(fmt.Sprintf("%s: log in as admin@%s, the password is %s", name, r.Instance.Host, r.hint(name, "password")))
		}
	}
}

// wanted reports whether a job that compose runs only for who asks is run: those of the first
// installation, once.
func (r *runner) wanted(s *compose.Service) bool {
	return slices.Contains(s.Profiles, "first-install") && !r.home.wasInstalled
}

func (r *runner) openEngine(ctx context.Context) (err error) {
	r.engine, err = engine.Open(ctx, r.Engine, engine.Options{Name: r.Instance.Name, Dir: r.home.path("run"), Data: r.home.path("data"), Sockets: r.home.sockets()})
	return err
}

// join makes the network of containers, and of the sockets that they reach outside.
func (r *runner) join(ctx context.Context) error {
	provided := slices.Sorted(maps.Keys(r.sites))
	for _, need := range r.outside {
		provided = append(provided, r.hostName(need))
	}
	if err := r.engine.Join(ctx, r.order(), provided); err != nil {
		return err
	}
	for n, s := range r.servers {
		if err := r.engine.Provide(r.port(n), s.Socket); err != nil {
			return err
		}
	}
	return r.openSites()
}

// watch ends the run when something ends that should not.
func (r *runner) watch(name string, done <-chan struct{}, why func() error) {
	if done == nil {
		return
	}
	out := r.outputs[name]
	go func() {
		<-done
		err := fmt.Errorf("%s has ended", name)
		if why != nil && why() != nil {
			err = fmt.Errorf("%s has ended: %w", name, why())
		}
		if last := out.last(); last != "" {
			err = fmt.Errorf("%w; its last line: %s", err, last)
		}
		select {
		case r.failed <- err:
		default:
		}
	}()
}

// close ends containers, then servers.
func (r *runner) close() error {
	var err error
	if r.engine != nil {
		if err = r.engine.Close(); err == nil && !r.Keep {
			err = r.engine.Remove()
		}
	}
	if r.inner != nil {
		_ = r.inner.Close()
	}
	for _, s := range slices.Backward(r.servers) {
		s.Close()
	}
	return err
}

// PortOf is the port that a listener of Listen has.
func PortOf(listener net.Listener) int { return listener.Addr().(*net.TCPAddr).Port }

// Listen listens at a port of the loopback address; 0 is a free one.
func Listen(port int) (net.Listener, error) {
	listener, err := net.Listen("tcp4", fmt.Sprintf("%s:%d", instance.Loopback, port))
	if err != nil {
		var reason error = err
		if inner := new(os.SyscallError); errors.As(err, &inner) {
			reason = inner.Err
		}
		return nil, &fault.Fault{Err: fmt.Errorf("port %d of %s: %w", port, instance.Loopback, reason), Fix: "end what listens there, or give another --port"}
	}
	return listener, nil
}

// StateDir is the folder for the data of all apps that run here: of the user, or of root,
// whose servers run as other users that must reach theirs.
func StateDir(getenv func(string) string) (string, error) {
	if dir := getenv("XDG_STATE_HOME"); filepath.IsAbs(dir) {
		return filepath.Join(dir, "libre", "run"), nil
	}
	if os.Geteuid() == 0 {
		return "/var/lib/libre/run", nil
	}
	home, err := os.UserHomeDir()
	return filepath.Join(home, ".local/state/libre/run"), err
}

// Name is the name of an instance that is run here: of the app, and of its variant.
func Name(app, variant string) string {
	name := strings.NewReplacer(".", "-", "_", "-").Replace(app)
	if variant != "default" {
		name += "-" + instance.NamePart(variant)
	}
	return name
}

// patience is the time that a service has to become ready.
var patience = 3 * time.Minute
