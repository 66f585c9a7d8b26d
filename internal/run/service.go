package run

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/libresh/libre/internal/compose"
	"github.com/libresh/libre/internal/describe"
	"github.com/libresh/libre/internal/run/engine"
)

// order are the names of services, each after those that it waits for.
func (r *runner) order() []string {
	var all []string
	var add func(name string)
	add = func(name string) {
		if slices.Contains(all, name) {
			return
		}
		for _, before := range r.before(name) {
			add(before)
		}
		all = append(all, name)
	}
	for _, name := range slices.Sorted(maps.Keys(r.project.Services)) {
		add(name)
	}
	return all
}

// before are the services that one waits for. Jobs of the first installation come after the
// other jobs, and before all else.
func (r *runner) before(name string) []string {
	all := slices.Sorted(maps.Keys(r.project.Services[name].DependsOn))
	of, ours := r.Instance.Service(name)
	if !ours || of.Job != "" {
		return all
	}
	for _, s := range r.Instance.Services {
		if _, runs := r.project.Services[s.Name]; runs && s.Job == "first-install" {
			all = append(all, s.Name)
		}
	}
	return all
}

// startService starts a service once all is there that it waits for, and waits for a job's
// end.
func (r *runner) startService(ctx context.Context, name string) error {
	s := r.project.Services[name]
	for _, before := range r.before(name) {
		if s.DependsOn[before].Condition == compose.Healthy {
			if err := r.awaitHealth(ctx, before); err != nil {
				return err
			}
		}
	}
	r.Watcher.State(name, Starting, "")
	c, err := r.container(name, s)
	if err != nil {
		return err
	}
	process, err := r.engine.Start(ctx, c)
	if err != nil {
		return err
	}
	r.running[name] = process
	if s.Restart != "no" {
		r.watch(name, process.Done(), process.Err)
		return nil
	}
	return r.awaitEnd(ctx, name, process)
}

// awaitEnd waits until a job has done its work.
func (r *runner) awaitEnd(ctx context.Context, name string, process engine.Process) error {
	select {
	case <-process.Done():
	case err := <-r.failed:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
	if err := process.Err(); err != nil {
		err = fmt.Errorf("the job %s has failed: %w", name, err)
		if last := r.outputs[name].last(); last != "" {
			err = fmt.Errorf("%w; its last line: %s", err, last)
		}
		return err
	}
	r.Watcher.State(name, Ended, "")
	return nil
}

// container returns the container of a service, for the engine.
func (r *runner) container(name string, s *compose.Service) (engine.Container, error) {
	c := engine.Container{
		Name: name, Image: r.image(s.Image), Entrypoint: s.Entrypoint, Command: s.Command, User: s.User,
		Environment: s.Environment, Tmpfs: s.Tmpfs, Output: r.output(name),
	}
	if len(s.EnvFile) > 0 {
		c.Secrets = r.home.path(s.EnvFile[0].Path)
	}
	for _, volume := range s.Volumes {
		fields := strings.Split(volume, ":") // SOURCE:TARGET[:OPTIONS]
		m := engine.Mount{Target: fields[1], ReadOnly: len(fields) > 2 && strings.HasPrefix(fields[2], "ro")}
		if file, is := strings.CutPrefix(fields[0], "./"); is {
			m.File = r.home.path(file)
		} else {
			m.Volume = fields[0]
		}
		c.Mounts = append(c.Mounts, m)
	}
	if s.Deploy != nil {
		c.CPUs = s.Deploy.Resources.Limits.CPUs
		if memory := s.Deploy.Resources.Limits.Memory; memory != "" {
			var err error
			if c.Memory, err = strconv.ParseInt(memory, 10, 64); err != nil {
				return c, err
			}
		}
	}
	return c, nil
}

// image is one of the app's, which are in the layout, or a server's.
func (r *runner) image(reference string) engine.Image {
	name, ours := strings.CutPrefix(reference, r.Instance.App.Spec.Registry+"/")
	if before, digest, pinned := strings.Cut(name, "@"); ours && pinned {
		return engine.Image{Name: before, Layout: r.Layout, Digest: digest}
	}
	return engine.Image{Name: reference}
}

// awaitHealth waits until a service is ready for requests.
func (r *runner) awaitHealth(ctx context.Context, name string) error {
	s := r.project.Services[name]
	if s.Restart == "no" || r.finished[name] {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		err := r.check(ctx, name, s)
		if err == nil {
			r.finished[name] = true
			r.Watcher.State(name, Ready, "")
			return nil
		}
		select {
		case failed := <-r.failed:
			return failed
		case <-ctx.Done():
			if errors.Is(ctx.Err(), context.DeadlineExceeded) {
				return fmt.Errorf("%s is not ready after %s: %w", name, patience, err)
			}
			return ctx.Err()
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// check asks a service once whether it is ready. Without a check it is.
func (r *runner) check(ctx context.Context, name string, s *compose.Service) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	if s.Healthcheck != nil {
		return r.engine.Exec(ctx, name, s.Healthcheck.Test[1:])
	}
	of, ours := r.Instance.Service(name)
	if !ours || of.Health == nil {
		return nil
	}
	port, err := of.Port(portOf(of.Health))
	if err != nil {
		return err
	}
	address := net.JoinHostPort(name, strconv.Itoa(port))
	if of.Health.Path == "" {
		conn, err := r.engine.Dial(ctx, address)
		if err == nil {
			conn.Close()
		}
		return err
	}
	return r.get(ctx, "http://"+address+of.Health.Path)
}

// portOf is the name of the port that a check asks.
func portOf(h *describe.Health) string {
	for _, name := range []string{h.Port, h.TCP, h.GRPC} {
		if name != "" {
			return name
		}
	}
	return ""
}

// get asks for a page as a browser would, and is content with an answer below 400.
func (r *runner) get(ctx context.Context, url string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	request.Host = strings.TrimPrefix(r.Instance.URL(), "http://")
	transport := &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, address string) (net.Conn, error) { return r.engine.Dial(ctx, address) }}
	response, err := transport.RoundTrip(request)
	if err != nil {
		return err
	}
	response.Body.Close()
	if response.StatusCode >= 400 {
		return fmt.Errorf("its check answers %s", response.Status)
	}
	return nil
}

// dial connects with a service, or with a server that runs outside of the engine.
func (r *runner) dial(ctx context.Context, _, address string) (net.Conn, error) {
	for n, need := range r.outside {
		if address == net.JoinHostPort(r.hostName(need), strconv.Itoa(r.port(n))) {
			return (&net.Dialer{}).DialContext(ctx, "unix", r.home.path("s", r.servers[n].Socket))
		}
	}
	return r.engine.Dial(ctx, address)
}
