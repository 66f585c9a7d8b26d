package withdrawn

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/libresh/libre/internal/catalog"
)

// PredicateType is that of the signed statement.
const PredicateType = "https://libre.sh/attestations/withdrawn/v1"

// Statement says which releases of an app's variant are withdrawn: all that are. A newer one
// has a higher version, and replaces the older ones, so that an empty one takes all back.
type Statement struct {
	App       string `json:"app"`
	Variant   string `json:"variant"`
	Version   int    `json:"version"`
	Withdrawn []Said `json:"withdrawn"` // sorted by version
}

// Said is what a statement says of a release.
type Said struct {
	Version string `json:"version"` // APPVERSION-PKGVERSION
	Reason  string `json:"reason"`
	Date    string `json:"date"` // YYYY-MM-DD
}

// NewStatement returns the statement about the withdrawn releases of an app's variant.
func NewStatement(list List, app, variant string, version int) *Statement {
	s := &Statement{App: app, Variant: variant, Version: version, Withdrawn: []Said{}}
	for _, r := range list.Of(app) {
		s.Withdrawn = append(s.Withdrawn, Said{r.Tag, r.Reason, r.Date.Format(time.DateOnly)})
	}
	slices.SortFunc(s.Withdrawn, func(a, b Said) int {
		x, i, _ := catalog.ParseTag(a.Version)
		y, j, _ := catalog.ParseTag(b.Version)
		return cmp.Or(catalog.CompareVersions(x, y), i-j, cmp.Compare(a.Version, b.Version))
	})
	return s
}

// Encode is the statement's JSON.
func (s *Statement) Encode() ([]byte, error) {
	var content bytes.Buffer
	encoder := json.NewEncoder(&content)
	encoder.SetEscapeHTML(false)
	err := encoder.Encode(s)
	return content.Bytes(), err
}

// Find is what the statement says of a release; nil if that is not withdrawn.
func (s *Statement) Find(tag string) *Said {
	i := slices.IndexFunc(s.Withdrawn, func(said Said) bool { return said.Version == tag })
	if i < 0 {
		return nil
	}
	return &s.Withdrawn[i]
}

// Digest is a hash over what the statement says, whatever its version; "" if nothing is
// withdrawn.
func (s *Statement) Digest() string {
	if len(s.Withdrawn) == 0 {
		return ""
	}
	said, _ := json.Marshal(s.Withdrawn) // of texts
	return fmt.Sprintf("sha256:%x", sha256.Sum256(said))
}

// Tags are the withdrawn releases.
func (s *Statement) Tags() []string {
	var tags []string
	for _, said := range s.Withdrawn {
		tags = append(tags, said.Version)
	}
	return tags
}

// ReadStatement reads the JSON of a statement whose signature was verified.
func ReadStatement(content []byte) (*Statement, error) {
	var s Statement
	if err := json.Unmarshal(content, &s); err != nil {
		return nil, fmt.Errorf("reading a statement of withdrawn releases: %w", err)
	}
	if s.Version < 1 || len(s.Withdrawn) > MostListed {
		return nil, fmt.Errorf("reading a statement of withdrawn releases: version %d, %d releases, expected a version from 1 and at most %d releases", s.Version, len(s.Withdrawn), MostListed)
	}
	for _, said := range s.Withdrawn {
		_, err := time.Parse(time.DateOnly, said.Date)
		if err = cmp.Or(CheckTag(said.Version), CheckReason(said.Reason), err); err != nil {
			return nil, fmt.Errorf("reading a statement of withdrawn releases: %w", err)
		}
	}
	return &s, nil
}
