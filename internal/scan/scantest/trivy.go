//go:build interop

package scantest

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"go.etcd.io/bbolt"
)

// trivySources are the buckets of the ecosystems, in syft's words.
// https://github.com/aquasecurity/trivy-db/blob/main/pkg/vulnsrc/ghsa/ghsa.go
var trivySources = map[string]string{
	"go-module": "go::GitHub Security Advisory Go",
	"npm":       "npm::GitHub Security Advisory Npm",
	"python":    "pip::GitHub Security Advisory Pip",
}

// WriteTrivy writes a database of records in Trivy's format into Trivy's cache folder. Trivy
// knows a vulnerability by one ID: the record's first CVE ID, or else the record's own.
// https://github.com/aquasecurity/trivy-db/blob/main/pkg/db/db.go
func WriteTrivy(cache string, records ...Record) error {
	dir := filepath.Join(cache, "db")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	now := time.Now().UTC()
	metadata, err := json.Marshal(map[string]any{"Version": 2, "UpdatedAt": now, "NextUpdate": now.Add(24 * time.Hour), "DownloadedAt": now})
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, "metadata.json"), metadata, 0o644); err != nil {
		return err
	}
	db, err := bbolt.Open(filepath.Join(dir, "trivy.db"), 0o644, nil)
	if err != nil {
		return err
	}
	defer db.Close()
	return db.Update(func(tx *bbolt.Tx) error {
		for _, record := range records {
			if err := record.addTrivy(tx); err != nil {
				return fmt.Errorf("writing %s: %w", record.ID, err)
			}
		}
		return nil
	})
}

func (r Record) addTrivy(tx *bbolt.Tx) error {
	source, id := trivySources[r.Ecosystem], r.ID
	if source == "" {
		return fmt.Errorf("databases of tests have no ecosystem %q for Trivy", r.Ecosystem)
	}
	for _, alias := range r.Aliases {
		if strings.HasPrefix(alias, "CVE-") && !strings.HasPrefix(id, "CVE-") {
			id = alias
		}
	}
	advisory := map[string]any{"VulnerableVersions": []string{r.Affected}}
	if r.FixedIn != "" {
		advisory["PatchedVersions"] = []string{r.FixedIn}
	}
	ranks := map[string]int{"low": 1, "medium": 2, "high": 3, "critical": 4}
	severity := r.Severity
	if ranks[severity] == 0 {
		severity = "high"
	}
	for _, entry := range []struct {
		buckets []string
		key     string
		value   map[string]any
	}{
		{[]string{source, r.Package}, id, advisory},
		{[]string{"vulnerability"}, id, map[string]any{"Title": r.Description, "Severity": strings.ToUpper(severity), "VendorSeverity": map[string]int{"ghsa": ranks[severity]}}},
		{[]string{"data-source"}, source, map[string]any{"ID": "ghsa", "Name": strings.SplitN(source, "::", 2)[1], "URL": "https://vulnerabilities.example/"}},
	} {
		if err := putTrivy(tx, entry.buckets, entry.key, entry.value); err != nil {
			return err
		}
	}
	return nil
}

func putTrivy(tx *bbolt.Tx, buckets []string, key string, value map[string]any) error {
	text, err := json.Marshal(value)
	if err != nil {
		return err
	}
	bucket, err := tx.CreateBucketIfNotExists([]byte(buckets[0]))
	for _, name := range buckets[1:] {
		if err == nil {
			bucket, err = bucket.CreateBucketIfNotExists([]byte(name))
		}
	}
	if err != nil {
		return err
	}
	return bucket.Put([]byte(key), text)
}
