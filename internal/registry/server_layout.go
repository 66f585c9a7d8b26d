package registry

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

const refNameAnnotation = "org.opencontainers.image.ref.name"

// An imageLayout is a directory with an OCI image layout, read as a registry:
// https://github.com/opencontainers/image-spec/blob/v1.1.1/image-layout.md
//
// Each entry of its index is named REPOSITORY:TAG, or REPOSITORY@DIGEST for a
// manifest that was pushed without a tag; others are not served.
type imageLayout struct {
	dir string

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

func (l *imageLayout) blobPath(digest v1.Hash) string {
	return filepath.Join(l.dir, "blobs", digest.Algorithm, digest.Hex)
}

// open opens a file of the layout. Links in it are not followed: whoever wrote it
// may not be who serves it. What is no file is fs.ErrNotExist.
func (l *imageLayout) open(name string) (*os.File, os.FileInfo, error) {
	root, err := os.OpenRoot(l.dir)
	if err != nil {
		return nil, nil, err
	}
	defer root.Close()
	info, err := root.Lstat(name) // first: a pipe waits for its other end
	if err == nil && !info.Mode().IsRegular() {
		err = &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	if err != nil {
		return nil, nil, err
	}
	f, err := root.Open(name)
	return f, info, err
}

func (l *imageLayout) openBlob(digest v1.Hash) (*os.File, os.FileInfo, error) {
	return l.open(filepath.Join("blobs", digest.Algorithm, digest.Hex))
}

// sizeOf is the size of a blob, 0 where it is not there.
func (l *imageLayout) sizeOf(digest v1.Hash) int64 {
	f, info, err := l.openBlob(digest)
	if err != nil {
		return 0
	}
	f.Close()
	return info.Size()
}

// repositories gives what the layout holds now, by name.
func (l *imageLayout) repositories() (map[string]*repository, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.reload()
}

// reload reads the index if it is another file than the last time, or has
// changed. The caller holds mu.
func (l *imageLayout) reload() (map[string]*repository, error) {
	f, now, err := l.open("index.json")
	if l.read != nil && errors.Is(err, fs.ErrNotExist) {
		return nil, nil // removed since: it has nothing, until the next build
	}
	if err != nil {
		return nil, fmt.Errorf("no OCI layout: %w", err)
	}
	f.Close()
	if l.read != nil && os.SameFile(now, l.read) && now.ModTime().Equal(l.read.ModTime()) && now.Size() == l.read.Size() {
		return l.repos, nil
	}
	index, err := l.index()
	if err != nil {
		return nil, err
	}
	repos := map[string]*repository{}
	for _, d := range index.Manifests {
		name, tag, ok := splitRefName(d.Annotations[refNameAnnotation])
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

func (l *imageLayout) index() (*v1.IndexManifest, error) {
	f, _, err := l.open("index.json")
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(f)
	if err != nil {
		return nil, err
	}
	index := &v1.IndexManifest{}
	if err := json.Unmarshal(b, index); err != nil {
		return nil, fmt.Errorf("read index.json: %w", err)
	}
	return index, nil
}

// add makes a manifest, and all below it, part of a repository.
func (l *imageLayout) add(repo *repository, d v1.Descriptor) error {
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

func (l *imageLayout) manifestFacts(digest v1.Hash) (manifestFacts, error) {
	if facts, ok := l.facts[digest]; ok {
		return facts, nil
	}
	f, _, err := l.openBlob(digest)
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

// update rewrites the index. What it refers to must be there already, so that
// a reader never meets a manifest without its blobs.
func (l *imageLayout) update(edit func([]v1.Descriptor) ([]v1.Descriptor, error)) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	index, err := l.index()
	if err != nil {
		return err
	}
	entries, err := edit(index.Manifests)
	if err != nil {
		return err
	}
	if err := l.writeIndex(entries); err != nil {
		return err
	}
	_, err = l.reload()
	return err
}

func (l *imageLayout) writeIndex(entries []v1.Descriptor) error {
	if entries == nil {
		entries = []v1.Descriptor{} // null is no valid value
	}
	b, err := json.Marshal(v1.IndexManifest{SchemaVersion: 2, MediaType: types.OCIImageIndex, Manifests: entries})
	if err != nil {
		return err
	}
	return writeFile(filepath.Join(l.dir, "index.json"), b)
}

// writeFile puts a whole file in place, or nothing.
func writeFile(path string, b []byte) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), ".tmp-*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(f.Name()))
		}
	}()
	_, err = f.Write(b)
	if err = errors.Join(err, f.Chmod(0o644), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}

// setRefName gives a name to a manifest, and takes it from another.
func setRefName(entries []v1.Descriptor, refName string, d v1.Descriptor) []v1.Descriptor {
	d.Annotations = map[string]string{refNameAnnotation: refName}
	for i, e := range entries {
		if e.Annotations[refNameAnnotation] == refName {
			entries[i] = d
			return entries
		}
	}
	return append(entries, d)
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
