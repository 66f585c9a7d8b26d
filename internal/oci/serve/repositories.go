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

// served is a layout read as a registry: each entry of its index is named
// REPOSITORY:TAG, or REPOSITORY@DIGEST for a manifest without a tag. Entries with other
// names are not served.
type served struct {
	*layout.Layout

	mu    sync.Mutex
	read  os.FileInfo // index.json when repos was read
	repos map[string]*repository
	info  map[v1.Hash]manifestInfo // never outdated: content has one digest

	waiting changes
}

// A repository is the content of one name. It does not change.
type repository struct {
	tags      map[string]v1.Descriptor
	manifests map[v1.Hash]v1.Descriptor   // including those that an index refers to
	referrers map[v1.Hash][]v1.Descriptor // by the digest of their subject
}

// manifestInfo is the part of an image manifest or an index that a registry reads.
type manifestInfo struct {
	MediaType types.MediaType `json:"mediaType"`
	Config    *v1.Descriptor  `json:"config"`
	Layers    []v1.Descriptor `json:"layers"`
	Manifests []v1.Descriptor `json:"manifests"`
	Subject   *v1.Descriptor  `json:"subject"`

	ArtifactType string            `json:"artifactType"`
	Annotations  map[string]string `json:"annotations"`
}

// artifactType as the referrers API reports it.
func (f manifestInfo) artifactType() string {
	if f.ArtifactType == "" && f.Config != nil {
		return string(f.Config.MediaType)
	}
	return f.ArtifactType
}

// cutRefName cuts the name of an entry into the repository's and the rest.
func cutRefName(refName string) (repo, rest string) {
	at := strings.IndexByte(refName, '@')
	if at < 0 {
		at = strings.LastIndexByte(refName, ':')
	}
	if at < 0 {
		return "", ""
	}
	return refName[:at], refName[at:]
}

// splitRefName splits the name of an entry: REPOSITORY:TAG, or REPOSITORY@DIGEST, which
// has the tag "".
func splitRefName(refName string) (repo, tag string, ok bool) {
	repo, rest := cutRefName(refName)
	if digest, found := strings.CutPrefix(rest, "@"); found {
		_, err := v1.NewHash(digest)
		return repo, "", err == nil && nameRegexp().MatchString(repo)
	}
	tag = strings.TrimPrefix(rest, ":")
	return repo, tag, nameRegexp().MatchString(repo) && tagRegexp().MatchString(tag)
}

// sizeOf returns the size of a blob, 0 if it is missing.
func (l *served) sizeOf(digest v1.Hash) int64 {
	f, info, err := l.OpenBlob(digest)
	if err != nil {
		return 0
	}
	f.Close()
	return info.Size()
}

// repositories returns the present content of the layout, by name.
func (l *served) repositories() (map[string]*repository, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.reload()
}

// reload reads index.json if it changed. The caller holds mu.
func (l *served) reload() (map[string]*repository, error) {
	now, err := l.StatIndex()
	if l.read != nil && errors.Is(err, fs.ErrNotExist) {
		return nil, nil // the layout was removed: it is empty until the next build
	}
	if err != nil {
		return nil, err
	}
	if l.read != nil && layout.SameIndex(l.read, now) {
		return l.repos, nil
	}
	repos := map[string]*repository{}
	if err := l.fill(repos, nil); err != nil {
		return nil, err
	}
	l.read, l.repos = now, repos
	return repos, nil
}

// fill adds the repositories with the given names, or all, from the entries of index.json.
func (l *served) fill(repos map[string]*repository, names map[string]bool) error {
	entries, err := l.Entries()
	if err != nil {
		return err
	}
	for _, d := range entries {
		refName := d.Annotations[layout.RefNameAnnotation]
		if name, _ := cutRefName(refName); names != nil && !names[name] {
			continue
		}
		name, tag, ok := splitRefName(refName)
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
			return err
		}
	}
	return nil
}

// add adds a manifest, and the manifests of an index, to a repository.
func (l *served) add(repo *repository, d v1.Descriptor) error {
	if _, done := repo.manifests[d.Digest]; done {
		return nil
	}
	info, err := l.manifestInfo(d.Digest)
	if errors.Is(err, fs.ErrNotExist) {
		return nil // a layout may hold only some platforms of an index
	} else if err != nil {
		return err
	}
	if d.MediaType == "" {
		d.MediaType = info.MediaType
	}
	repo.manifests[d.Digest] = d
	if info.Subject != nil {
		repo.referrers[info.Subject.Digest] = append(repo.referrers[info.Subject.Digest], v1.Descriptor{
			MediaType:    d.MediaType,
			Size:         d.Size,
			Digest:       d.Digest,
			ArtifactType: info.artifactType(),
			Annotations:  info.Annotations,
		})
	}
	for _, child := range info.Manifests {
		if err := l.add(repo, child); err != nil {
			return err
		}
	}
	return nil
}

func (l *served) manifestInfo(digest v1.Hash) (manifestInfo, error) {
	if info, ok := l.info[digest]; ok {
		return info, nil
	}
	f, _, err := l.OpenBlob(digest)
	if err != nil {
		return manifestInfo{}, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxManifestSize))
	if err != nil {
		return manifestInfo{}, err
	}
	// An index may name any content. Content that is not a manifest refers to nothing.
	var info manifestInfo
	if json.Unmarshal(b, &info) != nil {
		info = manifestInfo{}
	}
	if l.info == nil {
		l.info = map[v1.Hash]manifestInfo{}
	}
	l.info[digest] = info
	return info, nil
}

// sortedKeys returns the keys of all maps in lexical order, as the API lists them.
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
