package containerfile

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/libresh/libre/internal/lazyregexp"
)

// fetchAll fetches all bases, rewrites the file to use them, and adds them to the named
// contexts.
func (b *Builder) fetchAll(engine backend, j *job) ([]ResolvedBase, error) {
	have := map[Base]fetched{}
	j.triggers = map[Base]int{}
	var resolved []ResolvedBase
	for _, base := range j.plan.bases {
		key, _ := keyOf(j.Bases, base.Name)
		f, pinned, err := b.fetch(engine, base, j.Bases[key])
		if err != nil {
			return nil, j.fetchError(base, pinned, err)
		}
		have[base.image()] = f
		j.triggers[base.image()] = f.onbuild
		resolved = append(resolved, ResolvedBase{Base: base, Key: key, Reference: Normal(base.Name), Digest: f.digest, Pinned: pinned})
	}
	for _, base := range j.plan.copies {
		j.named[base.Name] = have[base.image()].context
	}
	j.path = filepath.Join(j.tmp, "Containerfile")
	rewritten, err := j.file.rewrite(j.plan, b.engine.Name, func(base Base) fetched {
		f := have[base.image()]
		if strings.HasPrefix(f.context, inLayout) {
			j.named[f.from] = f.context
		}
		return f
	})
	if err != nil {
		return nil, err
	}
	return resolved, os.WriteFile(j.path, rewritten, 0o644)
}

func (b *Builder) fetch(engine backend, base Base, o Origin) (_ fetched, pinned bool, _ error) {
	b.mu.Lock()
	l := b.bases[base.image()]
	if l == nil {
		l = &lookup{}
		b.bases[base.image()] = l
	}
	b.mu.Unlock()
	l.Lock()
	defer l.Unlock()
	if o.Layout != "" {
		f, err := engine.fetch(base, o)
		return f, true, err
	}
	ref, err := parseReference(base.Name)
	if err != nil {
		return fetched{}, true, err
	}
	o.Digest = cmp.Or(ref.digest, o.Digest)
	pinned = o.Digest != ""
	if pinned && !digestForm().MatchString(o.Digest) {
		return fetched{}, true, fmt.Errorf("%q is not a digest", o.Digest)
	}
	if !pinned {
		if l.digest == "" {
			if l.digest, err = engine.resolve(base, ref); err != nil {
				return fetched{}, false, err
			}
		}
		o.Digest = l.digest
	}
	f, err := engine.fetch(base, o)
	return f, pinned, err
}

var fetchNoise = lazyregexp.New(`^(initializing source docker://\S+: |pinging container registry \S+: )+`)

// fetchError names the base that could not be fetched, and the line that uses it.
func (j *job) fetchError(base Base, pinned bool, err error) error {
	doing := fmt.Sprintf("%s:%d: base %s", j.File, base.Line, base.Name)
	if !pinned {
		doing += " (not pinned by digest)"
	}
	var e *Error
	if !errors.As(err, &e) {
		return fmt.Errorf("%s: %w", doing, err)
	}
	e.Doing = doing
	e.Reason = fetchNoise().ReplaceAllString(e.Reason, "")
	return e
}
