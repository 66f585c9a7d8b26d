package serve

import (
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
	"sync"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/libresh/libre/internal/oci/layout"
)

// served is a layout read as a registry. Each entry of its index is named
// REPOSITORY:TAG, or REPOSITORY@DIGEST for a manifest that was pushed without a tag;
// others are not served.
type served struct {
	*layout.Layout

	mu    sync.Mutex
	read  os.FileInfo // index.json as it was when repos were read
	repos map[string]*repository
	facts map[v1.Hash]manifestFacts // never outdated: a digest has one content
}

// A repository is what is served under one name. It does not change once made.
type repository struct {
	tags      map[string]v1.Descriptor
	manifests map[v1.Hash]v1.Descriptor   // also those that an index refers to
	referrers map[v1.Hash][]v1.Descriptor // by the digest of their subject
}

// manifestFacts is what a registry must know of an image manifest or an index.
type manifestFacts struct {
	MediaType types.MediaType `json:"mediaType"`
	Config    *v1.Descriptor  `json:"config"`
	Layers    []v1.Descriptor `json:"layers"`
	Manifests []v1.Descriptor `json:"manifests"`
	Subject   *v1.Descriptor  `json:"subject"`

	ArtifactType string            `json:"artifactType"`
	Annotations  map[string]string `json:"annotations"`
}

// artifactType as the referrers API reports it.
func (f manifestFacts) artifactType() string {
	if f.ArtifactType == "" && f.Config != nil {
		return string(f.Config.MediaType)
	}
	return f.ArtifactType
}

// splitRefName reads a reference name: REPOSITORY:TAG, tag is set, or
// REPOSITORY@DIGEST, tag is "".
func splitRefName(refName string) (repo, tag string, ok bool) {
	if repo, digest, found := strings.Cut(refName, "@"); found {
		_, err := v1.NewHash(digest)
		return repo, "", err == nil && nameRegexp.MatchString(repo)
	}
	i := strings.LastIndexByte(refName, ':')
	if i < 0 {
		return "", "", false
	}
	repo, tag = refName[:i], refName[i+1:]
	return repo, tag, nameRegexp.MatchString(repo) && tagRegexp.MatchString(tag)
}

// sizeOf is the size of a blob, 0 where it is not there.
func (l *served) sizeOf(digest v1.Hash) int64 {
	f, info, err := l.OpenBlob(digest)
	if err != nil {
		return 0
	}
	f.Close()
	return info.Size()
}

// repositories gives what the layout holds now, by name.
func (l *served) repositories() (map[string]*repository, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.reload()
}

// reload reads the index if it is another file than the last time, or has
// changed. The caller holds mu.
func (l *served) reload() (map[string]*repository, error) {
	now, err := l.StatIndex()
	if l.read != nil && errors.Is(err, fs.ErrNotExist) {
		return nil, nil // removed since: it has nothing, until the next build
	}
	if err != nil {
		return nil, err
	}
	if l.read != nil && os.SameFile(now, l.read) && now.ModTime().Equal(l.read.ModTime()) && now.Size() == l.read.Size() {
		return l.repos, nil
	}
	entries, err := l.Entries()
	if err != nil {
		return nil, err
	}
	repos := map[string]*repository{}
	for _, d := range entries {
		name, tag, ok := splitRefName(d.Annotations[layout.RefNameAnnotation])
		if !ok {
			continue
		}
		repo := repos[name]
		if repo == nil {
			repo = &repository{map[string]v1.Descriptor{}, map[v1.Hash]v1.Descriptor{}, map[v1.Hash][]v1.Descriptor{}}
			repos[name] = repo
		}
		if tag != "" {
			repo.tags[tag] = d
		}
		if err := l.add(repo, d); err != nil {
			return nil, err
		}
	}
	l.read, l.repos = now, repos
	return repos, nil
}

// add makes a manifest, and all below it, part of a repository.
func (l *served) add(repo *repository, d v1.Descriptor) error {
	if _, done := repo.manifests[d.Digest]; done {
		return nil
	}
	facts, err := l.manifestFacts(d.Digest)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // a layout may hold some platforms of an index only
	} else if err != nil {
		return err
	}
	if d.MediaType == "" {
		d.MediaType = facts.MediaType
	}
	repo.manifests[d.Digest] = d
	if facts.Subject != nil {
		repo.referrers[facts.Subject.Digest] = append(repo.referrers[facts.Subject.Digest], v1.Descriptor{
			MediaType:    d.MediaType,
			Size:         d.Size,
			Digest:       d.Digest,
			ArtifactType: facts.artifactType(),
			Annotations:  facts.Annotations,
		})
	}
	for _, child := range facts.Manifests {
		if err := l.add(repo, child); err != nil {
			return err
		}
	}
	return nil
}

func (l *served) manifestFacts(digest v1.Hash) (manifestFacts, error) {
	if facts, ok := l.facts[digest]; ok {
		return facts, nil
	}
	f, _, err := l.OpenBlob(digest)
	if err != nil {
		return manifestFacts{}, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxManifestSize))
	if err != nil {
		return manifestFacts{}, err
	}
	// An index may name anything; what is no manifest refers to nothing.
	var facts manifestFacts
	if json.Unmarshal(b, &facts) != nil {
		facts = manifestFacts{}
	}
	if l.facts == nil {
		l.facts = map[v1.Hash]manifestFacts{}
	}
	l.facts[digest] = facts
	return facts, nil
}

// update rewrites the index; see layout.Update.
func (l *served) update(edit func([]v1.Descriptor) ([]v1.Descriptor, error)) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.Update(edit); err != nil {
		return err
	}
	_, err := l.reload()
	return err
}

// sortedKeys is for the lists of the API, which are in lexical order.
func sortedKeys[V any](maps ...map[string]V) []string {
	var keys []string
	for _, m := range maps {
		for k := range m {
			keys = append(keys, k)
		}
	}
	slices.Sort(keys)
	return slices.Compact(keys)
}
