package match

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	v6 "github.com/anchore/grype/grype/db/v6"
	"github.com/anchore/grype/grype/vulnerability"

	"github.com/libresh/libre/internal/scan"
)

// A database is open for reading.
type database struct {
	dir      string
	is       scan.Database
	reader   v6.Reader
	provider *provider
}

// openDatabase opens the database in a folder. If index is true, it makes the indexes first,
// because the distributed file has none. Errors have one line.
func openDatabase(dir string, index bool) (*database, error) {
	d := &database{dir: dir}
	if err := checkFile(filepath.Join(dir, v6.VulnerabilityDBFileName)); err != nil {
		return nil, err
	}
	if index {
		if err := v6.Hydrater()(dir); err != nil {
			return nil, d.broken(err)
		}
	}
	var err error
	if d.reader, err = v6.NewReader(v6.Config{DBDirPath: dir}); err != nil {
		return nil, d.broken(err)
	}
	description, err := d.reader.GetDBMetadata()
	if err != nil {
		return nil, d.fail(err)
	}
	one, err := d.reader.GetVulnerabilities(nil, &v6.GetVulnerabilityOptions{Limit: 1, Preload: true})
	if err := unlessLimited(err); err != nil {
		return nil, d.fail(err)
	}
	if len(one) == 0 {
		d.close()
		return nil, errors.New("the vulnerability database is empty: it has no vulnerability at all")
	}
	if one[0].BlobValue == nil {
		return nil, d.fail(errors.New("it has names of vulnerabilities without their content"))
	}
	if err := d.checkPackages(); err != nil {
		return nil, d.fail(err)
	}
	d.is.Schema = fmt.Sprintf("%d.%d.%d", description.Model, description.Revision, description.Addition)
	if description.BuildTimestamp != nil {
		d.is.Built = description.BuildTimestamp.UTC()
	}
	d.provider = &provider{Provider: v6.NewVulnerabilityProvider(d.reader)}
	return d, nil
}

// checkPackages refuses a database whose vulnerabilities have no packages, because a scan would
// find nothing.
func (d *database) checkPackages() error {
	packages, err := d.reader.GetAffectedPackages(nil, &v6.GetPackageOptions{Limit: 1})
	if len(packages) > 0 || err != nil {
		return unlessLimited(err)
	}
	cpes, err := d.reader.GetAffectedCPEs(nil, &v6.GetCPEOptions{Limit: 1})
	if len(cpes) > 0 || err != nil {
		return unlessLimited(err)
	}
	return errors.New("its vulnerabilities name no package")
}

// unlessLimited returns the error of a query, or nil if the error only says that there are more
// results.
func unlessLimited(err error) error {
	if errors.Is(err, v6.ErrLimitReached) {
		return nil
	}
	return err
}

// checkFile refuses files that are not SQLite databases.
// https://www.sqlite.org/fileformat2.html#the_database_header
func checkFile(name string) error {
	f, err := os.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("there is no %s", filepath.Base(name))
	} else if err != nil {
		return err
	}
	defer f.Close()
	const magic = "SQLite format 3\x00"
	header := make([]byte, len(magic))
	if n, _ := f.Read(header); string(header[:n]) != magic {
		return fmt.Errorf("%s is not an SQLite database", filepath.Base(name))
	}
	return nil
}

func (d *database) fail(err error) error {
	d.close()
	return d.broken(err)
}

// broken describes an error from reading the database.
func (d *database) broken(err error) error {
	return fmt.Errorf("the vulnerability database cannot be read: %w", err)
}

func (d *database) close() {
	if d != nil && d.reader != nil {
		_ = d.reader.Close()
	}
}

// provider stores the first error of the database, because grype only logs such an error and
// continues as if the database were empty.
type provider struct {
	vulnerability.Provider
	err error
}

func (p *provider) FindVulnerabilities(criteria ...vulnerability.Criteria) ([]vulnerability.Vulnerability, error) {
	found, err := p.Provider.FindVulnerabilities(criteria...)
	if err != nil && p.err == nil {
		p.err = err
	}
	return found, err
}
