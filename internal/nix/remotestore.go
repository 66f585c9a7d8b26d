package nix

import (
	"cmp"
	"context"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
)

// realiseDivided builds in a remote builder's own store what it alone can build, and copies the
// outputs back with what they need at run time. Nix's own way would copy back each output that
// the builder makes, compilers too. Nix does all else. It also does what this way could not, as
// without the right to add to a store; then Nix's error explains why.
func (n *Nix) realiseDivided(ctx context.Context, outputs []Output, roots string, watcher *watcher) error {
	list, missing := n.lacking(ctx, outputs)
	if missing == nil {
		return n.realise(ctx, outputs, roots, watcher, nil)
	}
	graph := missing.Graph()
	parts := list.divide(outputs, graph)
	if len(parts) == 1 && parts[nil] != nil {
		return n.realise(ctx, outputs, roots, watcher, nil)
	}
	watcher.mu.Lock()
	watcher.announce(missing)
	watcher.mu.Unlock()
	failed := make(chan error, len(parts))
	for i, builder := range slices.Collect(maps.Keys(parts)) {
		go func() {
			part, roots := parts[builder], filepath.Join(roots, strconv.Itoa(i))
			if builder != nil {
				remote := remoteStore{n, builder, list.substitute, graph, roots, watcher}
				remote.build(ctx, part)
				part = watcher.notFailed(part) // Nix tries what remains
			}
			failed <- n.realise(ctx, part, roots, watcher, nil)
		}()
	}
	var err error
	for range parts {
		err = cmp.Or(err, <-failed)
	}
	return err
}

// lacking returns what Nix would build and fetch, and the machines that may build it. Both are nil
// if nothing is missing, or if there are no remote builders.
func (n *Nix) lacking(ctx context.Context, outputs []Output) (*builderList, *Missing) {
	if !slices.ContainsFunc(outputs, func(o Output) bool { return o.Drv != "" && !exists(o.Path) }) {
		return nil, nil
	}
	settings, err := n.Settings(ctx)
	if err != nil {
		return nil, nil
	}
	list := listBuilders(settings)
	if len(list.builders) == 0 {
		return nil, nil
	}
	missing, err := n.missing(ctx, outputs)
	if err != nil || len(missing.Build) == 0 {
		return nil, nil
	}
	return list, missing
}

// missing asks Nix what it would build and fetch. flags may name another store.
func (n *Nix) missing(ctx context.Context, outputs []Output, flags ...string) (*Missing, error) {
	realise := realiseCall(outputs)
	realise.flags = append(flags, "--dry-run")
	var reader missingReader
	err := n.follow(ctx, realise, &watcher{nix: n}, func(event LogEvent) { reader.read(event) }, batch())
	return &reader.missing, err
}

// remoteStore builds in the store of a remote builder.
type remoteStore struct {
	nix        *Nix
	builder    *remoteBuilder
	substitute bool  // the builder fetches what its own substituters have
	here       Graph // what this machine lacks
	roots      string
	watcher    *watcher
}

// build builds outputs and copies them back, and may leave some. A failure can end what else is
// built: a daemon has its own setting keep-going.
func (r *remoteStore) build(ctx context.Context, outputs []Output) {
	for len(outputs) > 0 {
		_ = r.buildOnce(ctx, outputs) // Nix says why, when it tries what remains
		left := r.watcher.notFailed(outputs)
		if len(left) == len(outputs) {
			return
		}
		outputs = slices.DeleteFunc(left, func(o Output) bool { return exists(o.Path) })
	}
}

func (r *remoteStore) buildOnce(ctx context.Context, outputs []Output) error {
	var drvs []string
	for _, output := range outputs {
		drvs = append(drvs, output.Drv)
	}
	if err := r.send(ctx, drvs, "--derivation"); err != nil {
		return err
	}
	missing, err := r.nix.missing(ctx, outputs, "--store", r.builder.store)
	if err != nil {
		return err
	}
	if err := r.sendInputs(ctx, missing.Graph()); err != nil {
		return err
	}
	failed := r.realise(ctx, outputs)
	return cmp.Or(r.fetchValid(ctx, PathsOf(r.watcher.notFailed(outputs))), failed)
}

// sendInputs sends what the builder would build, although this machine has it or can fetch it.
func (r *remoteStore) sendInputs(ctx context.Context, there Graph) error {
	realise := storeCall("--realise --keep-going")
	realise.flags = []string{"--indirect", "--add-root", filepath.Join(r.roots, "input")}
	var paths []string
	for drv := range there {
		if !r.builds(drv) {
			continue
		}
		read, err := readDerivation(drv)
		if err != nil {
			return err
		}
		for _, input := range there[drv].Inputs {
			if r.builds(input) {
				continue
			}
			of, err := readDerivation(input)
			if err != nil {
				return err
			}
			for _, name := range read.InputDerivations[input] {
				realise.arguments = append(realise.arguments, input+"!"+name)
				paths = append(paths, of.Outputs[name].Path)
			}
		}
	}
	if len(paths) == 0 {
		return nil
	}
	if err := r.nix.follow(ctx, realise, r.watcher, r.watcher.event); err != nil {
		return err
	}
	return r.send(ctx, paths)
}

// builds reports whether the builder has to build a derivation. This machine runs what every
// machine can, such as downloads by Nix itself, because the builder may lack the network.
func (r *remoteStore) builds(drv string) bool {
	node, missing := r.here[drv]
	return missing && node.System != builtin
}

// realise builds outputs there. Each is copied back as soon as it is built.
func (r *remoteStore) realise(ctx context.Context, outputs []Output) error {
	left := map[string]string{} // paths by derivation, until their build begins
	for _, output := range outputs {
		left[output.Drv] = output.Path
	}
	var begun []string
	news := make(chan []string, 1)
	var fetching sync.WaitGroup
	fetching.Go(func() {
		var failed error
		for paths := range news {
			if failed != nil {
				continue // as without the right to add to a store: the next one would fail too
			}
			if failed = r.fetchValid(ctx, paths); failed == nil {
				r.watcher.tell(LogEvent{Kind: LogCopied})
			}
		}
	})
	realise := realiseCall(outputs)
	realise.flags = []string{"--store", r.builder.store}
	err := r.nix.follow(ctx, realise, r.watcher, func(event LogEvent) {
		switch event.Kind {
		case LogBuildFailed:
			r.watcher.remote.refuse(event.Drv, refusal{r.builder.address, event.Text})
		case LogBuildStarted:
			if path, wanted := left[event.Drv]; wanted {
				delete(left, event.Drv)
				begun = append(begun, path)
			}
		case LogBuilds: // Nix may say late which derivation is done
			if len(begun) > 0 {
				select {
				case <-news: // the later one has all
				default:
				}
				news <- slices.Clone(begun)
			}
		}
		r.watcher.event(event)
	}, batch())
	close(news)
	fetching.Wait()
	return err
}

// fetchValid copies those of the outputs that are built, and not copied yet.
func (r *remoteStore) fetchValid(ctx context.Context, paths []string) error {
	paths = slices.DeleteFunc(paths, exists)
	if len(paths) == 0 {
		return nil
	}
	valid, err := r.nix.valid(ctx, paths, "--store", r.builder.store)
	if err != nil || len(valid) == 0 {
		return err
	}
	return r.copy(ctx, slices.Sorted(maps.Keys(valid)), "--from", r.builder.store)
}

// send copies store paths and their closures to the builder.
func (r *remoteStore) send(ctx context.Context, paths []string, flags ...string) error {
	if r.substitute {
		flags = append(flags, "--substitute-on-destination")
	}
	return r.copy(ctx, paths, append(flags, "--to", r.builder.store)...)
}

func (r *remoteStore) copy(ctx context.Context, paths []string, flags ...string) error {
	return r.nix.copy(ctx, "copying", paths, append(flags, "--no-check-sigs"), batch())
}

// batch returns the variable that makes ssh fail where it would ask a person, or wait for long.
func batch() string {
	return "NIX_SSHOPTS=" + os.Getenv("NIX_SSHOPTS") + " -o BatchMode=yes -o ConnectTimeout=10"
}
