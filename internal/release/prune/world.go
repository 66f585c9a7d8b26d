package prune

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"golang.org/x/sync/errgroup"

	"github.com/libresh/libre/internal/catalog"
	"github.com/libresh/libre/internal/lazyregexp"
	"github.com/libresh/libre/internal/registry"
	"github.com/libresh/libre/internal/release"
	"github.com/libresh/libre/internal/release/state"
)

// world is the content of the catalogue's repositories: everything that may name a digest.
type world struct {
	client  *registry.Client
	records map[catalog.Ref]*state.Record // by reference
	pins    map[string]string             // digest of a base in a definition → the app
	signing *state.Signing                // nil if nothing is signed

	mu     sync.Mutex
	tags   map[string]map[string]string // by repository, tag → digest; without the tags of attachments
	tagged map[place][]string           // the same tags, sorted, by what they point to
	lists  map[place][]string           // tags of attachments, by what these are attached to
	nodes  map[string]*node             // by digest
	looked map[string]look              // by repository, when its tags were read last

	statements map[catalog.Ref]state.Withdrawals // at the records of the selected variants
	newest     map[string]state.Withdrawals      // the newest of these, by repository
}

// place is a digest in a repository.
type place struct{ repository, digest string }

// node is a manifest.
type node struct {
	children []string // of an index
	base     string   // digest of the image that it is built on; "" if it names none
	size     int64    // bytes of the manifest and of the blobs that it names
}

// attachmentTag matches the tags of lists of attachments, and of signatures and attestations in
// the format classic.
var attachmentTag = lazyregexp.New(`^sha256-([0-9a-f]{64})(\.[a-z]+)?$`)

// read reads all tags of all repositories of the catalogue, and the manifests that they point
// to.
func (p *Pruner) read(ctx context.Context) (*world, error) {
	w := newWorld(p.Registry, p.Signing)
	for _, app := range p.Apps {
		for _, component := range app.Components {
			for _, digest := range component.Bases {
				w.pins[digest] = app.Name
			}
		}
	}
	var records []string
	selected := map[string]bool{}
	for _, of := range p.variants() {
		records = append(records, of.repository())
		selected[of.repository()] = of.selected(p.Patterns)
	}
	if err := w.readAll(ctx, records); err != nil {
		return nil, err
	}
	repositories := map[string]bool{}
	for _, id := range catalog.IDs(p.Apps) {
		repositories[id.Name()] = true
	}
	for _, record := range w.records {
		for _, component := range record.Components {
			repositories[component.Reference.Repository] = true
		}
	}
	for _, repository := range records {
		delete(repositories, repository)
	}
	if err := w.readAll(ctx, slices.Sorted(maps.Keys(repositories))); err != nil {
		return nil, err
	}
	for repository, tags := range w.tags {
		for _, tag := range slices.Sorted(maps.Keys(tags)) {
			at := place{repository, tags[tag]}
			w.tagged[at] = append(w.tagged[at], tag)
		}
	}
	if err := w.readNamed(ctx); err != nil {
		return nil, err
	}
	return w, w.readStatements(ctx, selected)
}

func newWorld(client *registry.Client, signing *state.Signing) *world {
	return &world{
		client: client, signing: signing, records: map[catalog.Ref]*state.Record{}, pins: map[string]string{},
		tags: map[string]map[string]string{}, tagged: map[place][]string{}, lists: map[place][]string{}, nodes: map[string]*node{}, looked: map[string]look{},
		statements: map[catalog.Ref]state.Withdrawals{}, newest: map[string]state.Withdrawals{},
	}
}

// readAll reads repositories, several at a time.
func (w *world) readAll(ctx context.Context, repositories []string) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(state.Readers)
	for _, repository := range repositories {
		all, err := w.client.Tags(ctx, repository)
		if err != nil {
			return errors.Join(err, group.Wait())
		}
		w.mu.Lock()
		w.tags[repository] = map[string]string{}
		w.mu.Unlock()
		for _, tag := range all {
			if named := attachmentTag().FindStringSubmatch(tag); named != nil {
				at := place{repository, "sha256:" + named[1]}
				w.lists[at] = append(w.lists[at], tag)
				continue
			}
			group.Go(func() error { return w.readTag(ctx, catalog.Ref{Repository: repository, Tag: tag}) })
		}
	}
	return group.Wait()
}

// readTag reads the manifest that a tag points to.
func (w *world) readTag(ctx context.Context, ref catalog.Ref) error {
	tag, err := w.client.Tag(ref)
	if err != nil {
		return err
	}
	got, err := w.client.Get(ctx, tag)
	if err != nil {
		return err
	}
	record, err := state.RecordOf(ctx, w.client, tag, got)
	if err != nil {
		return err
	}
	w.mu.Lock()
	w.tags[ref.Repository][ref.Tag] = got.Digest.String()
	if _, _, isRelease := catalog.ParseTag(ref.Tag); record != nil && isRelease {
		w.records[ref] = record
	}
	w.mu.Unlock()
	return w.readNode(ctx, tag.Context(), got)
}

// readNamed reads manifests that records name and no tag points to.
func (w *world) readNamed(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(state.Readers)
	for _, record := range w.records {
		for component := range record.Components {
			_, digest, err := record.Image(w.client, component)
			if err != nil {
				return errors.Join(err, group.Wait())
			}
			group.Go(func() error { return w.readDigest(ctx, digest) })
		}
	}
	return group.Wait()
}

func (w *world) readDigest(ctx context.Context, digest name.Digest) error {
	w.mu.Lock()
	known := w.nodes[digest.DigestStr()] != nil
	w.mu.Unlock()
	if known {
		return nil
	}
	got, err := w.client.Get(ctx, digest)
	if err != nil {
		return err
	}
	return w.readNode(ctx, digest.Context(), got)
}

// readNode stores a manifest, and reads the manifests that it names.
func (w *world) readNode(ctx context.Context, in name.Repository, got *registry.Manifest) error {
	var read struct {
		Config      *v1.Descriptor    `json:"config"`
		Layers      []v1.Descriptor   `json:"layers"`
		Manifests   []v1.Descriptor   `json:"manifests"`
		Annotations map[string]string `json:"annotations"`
	}
	if err := json.Unmarshal(got.Content, &read); err != nil {
		return fmt.Errorf("reading %s: %w", in.Digest(got.Digest.String()), err)
	}
	if (read.Config == nil) == (read.Manifests == nil) {
		return fmt.Errorf("reading %s: it is neither an image nor an index", in.Digest(got.Digest.String()))
	}
	n := &node{base: read.Annotations[release.OCIPrefix+"base.digest"], size: got.Size}
	for _, layer := range read.Layers {
		n.size += layer.Size
	}
	if read.Config != nil {
		n.size += read.Config.Size
	}
	for _, child := range read.Manifests {
		n.children = append(n.children, child.Digest.String())
	}
	w.mu.Lock()
	w.nodes[got.Digest.String()] = n
	w.mu.Unlock()
	for _, child := range n.children {
		if err := w.readDigest(ctx, in.Digest(child)); err != nil {
			return err
		}
	}
	return nil
}

// moved returns a tag of a release's images that does not point to the digest in the release's
// record, or "" if all do.
func (w *world) moved(ref catalog.Ref) string {
	for _, component := range w.records[ref].Components {
		if image := component.Reference; w.tags[image.Repository][image.Tag] != component.Digest {
			return image.String()
		}
	}
	return ""
}

// release returns a release with its digests, in the order of deletion: the record before its
// images, because nobody reads an image without its record, and an index before its manifests,
// because no index may name a missing manifest.
func (w *world) release(ctx context.Context, ref catalog.Ref) (*Release, error) {
	record := w.records[ref]
	r := &Release{Record: ref}
	var err error
	if r.Signed, err = w.add(ctx, r, ref.Repository, w.tags[ref.Repository][ref.Tag], "record"); err != nil {
		return nil, err
	}
	for _, component := range slices.Sorted(maps.Keys(record.Components)) {
		image := record.Components[component]
		if _, err := w.add(ctx, r, image.Reference.Repository, image.Digest, "image"); err != nil {
			return nil, err
		}
		for _, child := range w.nodes[image.Digest].children {
			if _, err := w.add(ctx, r, image.Reference.Repository, child, "platform"); err != nil {
				return nil, err
			}
		}
	}
	return r, nil
}

// add adds a manifest and its attachments to a release. It returns when the newest attachment
// was made, or zero if there is none or one has no time.
func (w *world) add(ctx context.Context, r *Release, repository, digest, kind string) (made time.Time, err error) {
	d := Digest{Repository: repository, Digest: digest, Kind: kind, Tags: w.tagged[place{repository, digest}]}
	if n := w.nodes[digest]; n != nil {
		d.Size = n.size
	}
	r.Digests = append(r.Digests, d)
	subject, err := w.digest(repository, digest)
	if err != nil {
		return made, err
	}
	attached, _, err := w.client.Referrers(ctx, subject, nil)
	if err != nil {
		return made, fmt.Errorf("listing what is attached to %s: %w", subject, err)
	}
	var age date
	for _, one := range attached {
		age.add(one.Annotations)
		r.Digests = append(r.Digests, Digest{Repository: repository, Digest: one.Digest.String(), Kind: "attachment", Size: one.Size})
	}
	if err := w.addTagged(ctx, r, repository, subject, &age); err != nil || age.unknown {
		return time.Time{}, err
	}
	return age.newest, nil
}

// addTagged adds the lists of attachments, and the attachments, that tags name.
func (w *world) addTagged(ctx context.Context, r *Release, repository string, subject name.Digest, age *date) error {
	for _, tag := range w.lists[place{repository, subject.DigestStr()}] {
		found, err := w.client.Get(ctx, subject.Context().Tag(tag))
		if err != nil {
			return err
		}
		if found.Digest.String() == subject.DigestStr() { // GitLab reads such a tag as the digest
			continue
		}
		r.Digests = append(r.Digests, Digest{Repository: repository, Digest: found.Digest.String(), Kind: "attachment", Tags: []string{tag}, Size: found.Size})
		if attachmentTag().FindStringSubmatch(tag)[2] != "" {
			age.addClassic(found.Content)
		}
	}
	return nil
}

func (w *world) digest(repository, digest string) (name.Digest, error) {
	if _, err := v1.NewHash(digest); err != nil {
		return name.Digest{}, err
	}
	tag, err := w.client.Tag(catalog.Ref{Repository: repository, Tag: "latest"})
	return tag.Context().Digest(digest), err
}

// protect moves releases from going to stays if something else names one of their digests. The
// reason says what names it.
func (w *world) protect(going map[catalog.Ref]*Release) (stays map[catalog.Ref]string) {
	stays = map[catalog.Ref]string{}
	for {
		named, before := w.named(going), len(going)
		for ref, release := range going {
			for _, d := range release.Digests {
				if why := named[d.Digest]; why != "" {
					stays[ref] = fmt.Sprintf("%s names %s", why, cmp.Or(strings.Join(d.Tags, ", "), short(d.Digest)))
					delete(going, ref)
					break
				}
			}
		}
		w.keepStatements(going, stays)
		if len(going) == before {
			return stays
		}
	}
}

// named returns the digests that are named by anything except the releases in going, each with
// what names it.
func (w *world) named(going map[catalog.Ref]*Release) map[string]string {
	named := maps.Clone(w.pins)
	for digest, app := range named {
		named[digest] = "the definition of " + app
	}
	var mark func(digest, why string)
	mark = func(digest, why string) {
		if named[digest] == "" {
			named[digest] = why
		}
		n := w.nodes[digest]
		if n == nil {
			return
		}
		for _, child := range n.children {
			mark(child, why)
		}
		if n.base != "" && named[n.base] == "" {
			mark(n.base, why+", as a base,")
		}
	}
	goes := map[catalog.Ref]bool{}
	for _, release := range going {
		for _, d := range release.Digests {
			goes[catalog.Ref{Repository: d.Repository, Tag: release.Record.Tag}] = true
		}
	}
	for repository, tags := range w.tags {
		for tag, digest := range tags {
			if ref := (catalog.Ref{Repository: repository, Tag: tag}); !goes[ref] {
				mark(digest, "the tag "+ref.String())
			}
		}
	}
	for ref, record := range w.records {
		if going[ref] != nil {
			continue
		}
		for _, component := range record.Components {
			mark(component.Digest, "the record "+ref.String())
			for _, digest := range component.Systems {
				mark(digest, "the record "+ref.String())
			}
		}
	}
	return named
}

func short(digest string) string { return digest[:min(len(digest), len("sha256:")+12)] }

func sorted[T any](refs map[catalog.Ref]T) []catalog.Ref {
	return slices.SortedFunc(maps.Keys(refs), func(a, b catalog.Ref) int { return cmp.Compare(a.String(), b.String()) })
}
