package cli

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"github.com/libresh/libre/internal/atomicfile"
	"github.com/libresh/libre/internal/catalog"
	"github.com/libresh/libre/internal/find"
	"github.com/libresh/libre/internal/registry"
	"github.com/libresh/libre/internal/release/state"
	"github.com/libresh/libre/internal/scan"
	"github.com/libresh/libre/internal/sign"
	"github.com/libresh/libre/internal/site"
)

// siteReader reads what the pages show.
type siteReader struct {
	*env
	ws        *workspace
	options   siteOptions
	catalogue site.Catalogue
	client    *registry.Client
	signing   *state.Signing
	index     find.Index
	matcher   *scan.Matcher // nil without a database
	database  *scan.Opened
	releases  atomic.Int64 // that are read
	noNotes   atomic.Bool  // upstream does not answer
}

// counted counts the files that it writes.
type counted struct {
	folder *atomicfile.Folder
	n      atomic.Int64
}

func (c *counted) write(name string, content []byte) error {
	c.n.Add(1)
	return c.folder.Write(name, content)
}

func (e *env) newSiteReader(ctx context.Context, ws *workspace, o siteOptions) (*siteReader, error) {
	r := &siteReader{env: e, ws: ws, options: o}
	var err error
	if r.client, err = ws.registry(o.registry); err != nil {
		return nil, err
	}
	if r.signing, err = ws.operatorVerifying(ctx, o.registry, r.client); err != nil {
		return nil, err
	}
	r.catalogue = site.Catalogue{Registry: r.client.String(), Signer: signerWords(ws, o.registry)}
	if r.catalogue.Key, err = publicKeyOf(ws, o.registry); err != nil {
		return nil, err
	}
	// Who signed decides what is in an SBOM: what others attested is not read again.
	by := sha256.Sum256([]byte(r.catalogue.Signer + "\n" + string(r.catalogue.Key)))
	r.index.Dir = filepath.Join(ws.cacheDir, fmt.Sprintf("sboms-%x", by[:8]))
	return r, r.openDatabase(ctx)
}

// openDatabase opens the vulnerability database as diff does.
func (r *siteReader) openDatabase(ctx context.Context) (err error) {
	d := &differ{env: r.env, ws: r.ws, options: diffOptions{database: r.options.database}}
	if !d.hasDatabase() {
		r.Notef("vulnerabilities are not shown: there is no database here; libre scan downloads one, or give --db")
		return nil
	}
	r.matcher, r.database, err = r.vulnerabilities(ctx, r.ws, r.options.database)
	if err != nil && !d.namesDatabase() && ctx.Err() == nil {
		r.Warnf("vulnerabilities are not shown: %s", err)
		return nil
	}
	if err == nil {
		r.catalogue.Database = &r.database.Database
	}
	return err
}

func (r *siteReader) close() {
	if r.matcher != nil {
		r.matcher.Close()
	}
}

// addApps reads the apps, only some at once, because the contents of their images are in
// memory meanwhile.
func (r *siteReader) addApps(ctx context.Context, writer *site.Writer, apps map[string]catalog.App) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(2 * runtime.NumCPU())
	for app := range valuesInOrder(apps) {
		group.Go(func() error {
			read, err := r.app(ctx, app)
			if err != nil {
				return err
			}
			return writer.Add(read)
		})
	}
	return group.Wait()
}

func (r *siteReader) app(ctx context.Context, app catalog.App) (*site.App, error) {
	read := &site.App{Name: app.Name}
	variants := slices.SortedFunc(slices.Values(app.Variants), func(a, b string) int {
		return cmp.Or(boolRank(a != "default")-boolRank(b != "default"), strings.Compare(a, b))
	})
	for _, variant := range variants {
		releases, err := r.variant(ctx, app, variant)
		if err != nil {
			return nil, err
		}
		read.Releases = append(read.Releases, releases...)
	}
	for _, release := range read.Releases {
		if release.Verified && (read.Document == nil || release.Variant == "default" && read.Document.Spec.Variant != "default") {
			read.Document = release.Document
		}
	}
	if read.Document != nil {
		return read, nil
	}
	described, err := state.Described(app, "default")
	if err == nil {
		read.Document = described.Application
	}
	return read, err
}

func boolRank(is bool) int {
	if is {
		return 1
	}
	return 0
}

// variant reads the releases of a variant, the newest first.
func (r *siteReader) variant(ctx context.Context, app catalog.App, variant string) ([]site.Release, error) {
	tags, err := r.client.Tags(ctx, app.RecordRef(variant).Repository)
	if err != nil && !errors.Is(err, registry.ErrNotFound) {
		return nil, err
	}
	tags = state.ReleaseTags(tags)
	read, errs := make([]*siteRelease, len(tags)), make([]error, len(tags))
	state.InParallel(state.Readers, tags, func(i int, tag string) {
		if ctx.Err() == nil {
			read[i], errs[i] = r.release(ctx, app.RecordRef(variant).Repository, variant, tag, i < r.options.releases)
		} else {
			errs[i] = ctx.Err()
		}
	})
	if i := slices.IndexFunc(errs, func(err error) bool { return err != nil }); i >= 0 {
		return nil, errs[i]
	}
	r.compareEach(ctx, app, read)
	var releases []site.Release
	for _, one := range read {
		releases = append(releases, one.Release)
	}
	r.releases.Add(int64(len(releases)))
	return releases, nil
}

// publicKeyOf returns the public key that is used for signing now, in PEM, or nil if an
// identity signs.
func publicKeyOf(ws *workspace, o registryOptions) ([]byte, error) {
	if o.signer.given() {
		return nil, nil
	}
	config, err := ws.signConfig(o, false)
	if err != nil || config == nil {
		return nil, err
	}
	keys, err := config.VerificationKeys()
	if err != nil || len(keys) == 0 {
		return nil, err
	}
	return []byte(keys[0].PEM), nil
}

// signerWords are the words that tell commands who must have signed.
func signerWords(ws *workspace, o registryOptions) string {
	var words []string
	add := func(flag, value string) {
		if value != "" {
			words = append(words, flag, sign.ShellQuote(value))
		}
	}
	keyless := ws.settings.Sign.Keyless
	switch {
	case o.signer.given():
		add("--identity", o.signer.identity)
		add("--identity-regexp", o.signer.identityPattern)
		add("--issuer", o.signer.issuer)
		add("--issuer-regexp", o.signer.issuerPattern)
	case o.key == "" && keyless != nil:
		add("--identity-regexp", keyless.Identity.Subject)
		add("--issuer", keyless.Identity.Issuer)
		add("--issuer-regexp", keyless.Identity.IssuerPattern)
	default:
		add("--key", keyFile)
	}
	return strings.Join(words, " ")
}
