package files

import (
	"bytes"
	"context"
	"crypto/sha512"
	"encoding/hex"
	"errors"
	"hash"
	"io"
	"io/fs"
	"net/mail"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/anchore/syft/syft/file"
	"github.com/anchore/syft/syft/license"
	"github.com/anchore/syft/syft/pkg"
	"github.com/google/licensecheck"
	"github.com/nix-community/go-nix/pkg/nar"

	spdx "github.com/libresh/libre/internal/license"
	"github.com/libresh/libre/internal/sbom"
)

// licenseOf returns the license of a package from the metadata that syft reads. If there are
// several, all apply. A license that SPDX does not list becomes a LicenseRef.
func licenseOf(p pkg.Package) sbom.License {
	var all []string
	concluded := true
	for _, l := range p.Licenses.ToSlice() {
		expression := l.SPDXExpression
		if expression == "" || spdx.Check(expression) != nil {
			expression = reference(p.Type, l.Value)
		}
		if expression != "" {
			all = append(all, expression)
			concluded = concluded && l.Type == license.Concluded
		}
	}
	slices.Sort(all)
	expression := spdx.And(all...)
	if expression == "" || spdx.Check(expression) != nil {
		return sbom.License{}
	}
	return sbom.License{Expression: expression, Concluded: concluded}
}

// reference returns a LicenseRef for a license that SPDX does not list. syft uses the hash of a
// text that it does not know as the name.
func reference(ecosystem pkg.Type, value string) string {
	if digest, ok := strings.CutPrefix(value, "sha256:"); ok {
		return spdx.Ref("text", digest[:min(len(digest), 16)])
	}
	if len(value) > 100 || strings.EqualFold(value, "unknown") || strings.EqualFold(value, "noassertion") || strings.EqualFold(value, "none") {
		return ""
	}
	return spdx.Ref(string(ecosystem), value)
}

// makerOf returns the email address or URL of a package's maker, from the package's metadata.
func makerOf(p pkg.Package) string {
	var candidates []string
	switch metadata := p.Metadata.(type) {
	case pkg.DpkgDBEntry:
		candidates = []string{metadata.Maintainer}
	case pkg.ApkDBEntry:
		candidates = []string{metadata.Maintainer, metadata.URL}
	case pkg.NpmPackage:
		candidates = []string{metadata.Homepage, metadata.URL, metadata.Author}
	case pkg.PythonPackage:
		candidates = []string{metadata.AuthorEmail, metadata.Author}
	}
	for _, candidate := range candidates {
		candidate = strings.TrimSuffix(strings.TrimPrefix(candidate, "git+"), ".git")
		if strings.HasPrefix(candidate, "https://") || strings.HasPrefix(candidate, "http://") {
			return candidate
		}
		if address, err := mail.ParseAddress(candidate); err == nil {
			return address.Address
		}
	}
	return ""
}

// fileReader hashes files of an image, each once.
type fileReader struct {
	resolver file.Resolver
	sums     map[string]string // by path
}

// file describes the file in which a package was found. A package has no file of its own if it
// was found in no file, or in the database of a distribution.
func (r *fileReader) file(p pkg.Package, where string) (sbom.File, error) {
	if sbom.InDatabase(string(p.Type)) {
		return sbom.File{}, nil
	}
	for _, location := range p.Locations.ToSlice() {
		if location.RealPath != where {
			continue
		}
		sum, known := r.sums[where]
		if !known {
			content, err := r.resolver.FileContentsByLocation(location)
			if err != nil {
				return sbom.File{}, nil // a folder
			}
			defer content.Close()
			digest := sha512.New()
			if _, err := io.Copy(digest, content); err != nil {
				return sbom.File{}, err
			}
			sum = hexOf(digest)
			r.sums[where] = sum
		}
		return sbom.File{Name: path.Base(where), SHA512: sum, Executable: true, Archive: p.Type == pkg.JavaPkg}, nil
	}
	return sbom.File{}, nil
}

// storeFile describes a store path as a whole.
func storeFile(storePath string) (sbom.File, error) {
	described := sbom.File{Name: path.Base(storePath)}
	err := filepath.WalkDir(storePath, func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if name == storePath {
			described.Archive = entry.IsDir()
		}
		if !entry.Type().IsRegular() {
			return nil
		}
		info, err := entry.Info()
		described.Executable = described.Executable || err == nil && info.Mode()&0o100 != 0
		return err
	})
	if err != nil {
		return described, err
	}
	digest := sha512.New()
	err = nar.DumpPath(digest, storePath)
	described.SHA512 = hexOf(digest)
	return described, err
}

func hexOf(digest hash.Hash) string { return hex.EncodeToString(digest.Sum(nil)) }

// moduleLicenses finds the licenses of the Go modules in a folder that `go mod vendor` made, by
// their texts: module → SPDX expression. A module without a known text is left out.
// https://go.dev/ref/mod#vendoring
func moduleLicenses(ctx context.Context, vendor string) (map[string]string, error) {
	scanner, err := licenseScanner()
	if err != nil {
		return nil, err
	}
	ctx = scannerContext{ctx, scanner}
	list, err := os.ReadFile(filepath.Join(vendor, "modules.txt"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil // it has no modules
	}
	if err != nil {
		return nil, err
	}
	found := map[string]string{}
	for line := range strings.Lines(string(list)) {
		// # MODULE VERSION, or # MODULE VERSION => OTHER VERSION
		words := strings.Fields(line)
		if len(words) < 3 || words[0] != "#" {
			continue
		}
		expression, err := folderLicense(ctx, filepath.Join(vendor, filepath.FromSlash(words[1])))
		if err != nil {
			return nil, err
		}
		if expression == "" {
			continue
		}
		found[words[1]] = expression
		if at := slices.Index(words, "=>"); at > 0 && at+1 < len(words) {
			found[words[at+1]] = expression
		}
	}
	return found, ctx.Err()
}

// folderLicense returns the expression of the license texts in a folder.
func folderLicense(ctx context.Context, dir string) (string, error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil // none of its packages are needed
	}
	if err != nil {
		return "", err
	}
	var all []string
	for _, entry := range entries {
		// Documentation, which may have a licence of its own, is not linked into programs.
		if !entry.Type().IsRegular() || !spdx.IsText(entry.Name()) || strings.HasSuffix(strings.ToLower(entry.Name()), ".docs") {
			continue
		}
		text, err := os.ReadFile(filepath.Join(dir, entry.Name()))
		if err != nil {
			return "", err
		}
		all = append(all, textLicenses(ctx, entry.Name(), text)...)
	}
	slices.Sort(all)
	return spdx.And(all...), nil
}

// textLicenses recognises the licenses in a text. syft requires three quarters of the text to
// be licenses. Texts with other content are accepted if at least half is.
func textLicenses(ctx context.Context, name string, text []byte) (all []string) {
	content := file.NewLocationReadCloser(file.NewLocation(name), io.NopCloser(bytes.NewReader(text)))
	for _, l := range pkg.NewLicensesFromReadCloserWithContext(ctx, content) {
		if l.SPDXExpression != "" && spdx.Check(l.SPDXExpression) == nil {
			all = append(all, l.SPDXExpression)
		}
	}
	if all != nil {
		return all
	}
	coverage := licensecheck.Scan(text)
	if coverage.Percent < 50 {
		return nil
	}
	for _, match := range coverage.Match {
		if spdx.Check(match.ID) != nil {
			return nil
		}
		all = append(all, match.ID)
	}
	return all
}
