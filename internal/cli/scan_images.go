package cli

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/libresh/libre/internal/catalog"
	"github.com/libresh/libre/internal/nix"
	"github.com/libresh/libre/internal/release/build"
	"github.com/libresh/libre/internal/release/state"
	"github.com/libresh/libre/internal/sbom"
	"github.com/libresh/libre/internal/scan"
	"github.com/libresh/libre/internal/ui"
	"github.com/libresh/libre/internal/vex"
)

// scanner collects the images to scan, and the statements about them.
type scanner struct {
	*env
	options  scanOptions
	ws       *workspace
	matcher  *scan.Matcher
	database *scan.Opened
	apps     map[string]catalog.App // of --published, the selected ones

	images  []scanned
	failed  []error
	unbuilt int // how many of failed could not be built
}

// scanned is an image to scan.
type scanned struct {
	scan.Image
	read func(context.Context) (contents, error)
}

// contents has what an image contains, and the statements about it.
type contents struct {
	document *sbom.Document
	answers  *vex.Answers
	vex      func() ([]byte, error) // as OpenVEX; nil if nothing is said
}

func (s *scanner) close() {
	if s.matcher != nil {
		s.matcher.Close()
	}
}

// scanWorkspace is the catalogue, or for references the settings alone.
func (e *env) scanWorkspace(o scanOptions) (*workspace, error) {
	if slices.ContainsFunc(o.images.selection, isReference) {
		return e.registryWorkspace()
	}
	return e.workspace()
}

// collect finds the images to scan.
func (s *scanner) collect(ctx context.Context) error {
	words := s.options.images.selection
	for _, word := range words {
		if isRepository(word) {
			return noTag(word)
		}
	}
	switch {
	case slices.ContainsFunc(words, isReference):
		found, err := s.referenced(ctx, s.options.registry, words)
		s.addPublished(found)
		return err
	case s.options.published:
		return s.addReleases(ctx)
	}
	return s.addSelected(ctx)
}

// addReleases adds the published releases of the catalogue: the newest of each app and
// variant, unless all are asked for.
func (s *scanner) addReleases(ctx context.Context) error {
	words := s.options.images.selection
	_, patterns, err := s.selected(ctx, "scan --published", words, s.options.images.all || len(words) == 0)
	if err != nil {
		return err
	}
	client, err := s.ws.registry(s.options.registry)
	if err != nil {
		return err
	}
	evaluation, err := s.ws.evaluate(ctx, nix.Request{Patterns: patterns})
	if err != nil {
		return err
	}
	s.addFailures(evaluation)
	s.apps = evaluation.Apps
	found, published, err := s.ws.released(ctx, s.options.registry, client, patterns, evaluation.Apps, !s.options.every)
	if err != nil {
		return err
	}
	s.addPublished(found)
	if published.Releases == 0 && len(s.failed) == 0 {
		s.failed = append(s.failed, fmt.Errorf("no release of the selected apps is published in %s: nothing is scanned", client))
	}
	if published.Older > 0 {
		s.Notef("%s not scanned: see --every-release", ui.Count(published.Older, "older release"))
	}
	return nil
}

// addPublished adds published images. It names those that do not verify.
func (s *scanner) addPublished(found publishedImages) {
	for _, err := range found.failed {
		s.failed = append(s.failed, fmt.Errorf("not scanned: %w", err))
	}
	for _, image := range found.images {
		s.images = append(s.images, scanned{
			scan.Image{Name: image.Reference, Root: image.Reference, Platform: image.Platform, Digest: image.Digest.DigestStr()},
			func(ctx context.Context) (contents, error) {
				return readPublished(ctx, image.signing, image.PlatformImage)
			},
		})
	}
}

func readPublished(ctx context.Context, signing *state.Signing, image state.PlatformImage) (contents, error) {
	document, err := state.AttestedSBOM(ctx, signing, image.Digest)
	if err != nil {
		return contents{}, fmt.Errorf("%s is not scanned: %w", image.Reference, err)
	}
	said, err := state.AttestedVEX(ctx, signing, image.Digest, vex.OpenVEXType)
	if err != nil {
		return contents{}, fmt.Errorf("%s is not scanned: %w", image.Reference, err)
	}
	read := contents{document: document, answers: &vex.Answers{}}
	if said.Count == 0 {
		return read, nil
	}
	read.vex = func() ([]byte, error) { return said.Predicate, nil }
	openVEX, err := vex.ReadOpenVEX(said.Predicate)
	if err != nil {
		return contents{}, fmt.Errorf("%s is not scanned: %w", image.Reference, err)
	}
	read.answers = openVEX.Answers(openVEX.Image(), image.Digest.DigestStr())
	return read, nil
}

// addSelected adds images of the working tree. It builds those that are not built. If one
// fails, it still adds the others.
func (s *scanner) addSelected(ctx context.Context) error {
	ws, request, err := s.request(ctx, "scan", s.options.images)
	if err != nil {
		return err
	}
	evaluation, err := ws.evaluate(ctx, request)
	if err != nil {
		return err
	}
	s.addFailures(evaluation)
	selected, err := catalog.SelectImages(request.Patterns, evaluation.Apps)
	if err != nil && len(evaluation.Failures) == 0 {
		return err
	}
	stated := map[string][]vex.Statement{}
	for _, app := range slices.Sorted(maps.Keys(evaluation.Apps)) {
		if stated[app], err = vex.Load(ws.dir, evaluation.Apps[app], time.Now()); err != nil {
			s.failed = append(s.failed, fmt.Errorf("%s is not scanned: %w", app, err))
			delete(evaluation.Apps, app)
			selected = slices.DeleteFunc(selected, func(id catalog.ID) bool { return id.App == app })
		}
	}
	if len(selected) == 0 {
		return nil
	}
	images, err := s.describeEach(ctx, ws, evaluation)
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case err != nil:
		s.failed = append(s.failed, fmt.Errorf("not scanned: %w", err))
		s.unbuilt++
	}
	for _, image := range images {
		id := image.Target.ID
		if !slices.Contains(selected, id) {
			continue
		}
		if image.Err != nil {
			s.failed = append(s.failed, fmt.Errorf("%s is not scanned: %w", id, image.Err))
			s.unbuilt++
			continue
		}
		said, err := sayOf(image, evaluation.Apps[id.App], stated[id.App], ws.settings.Registries())
		if err != nil {
			s.failed = append(s.failed, fmt.Errorf("%s is not scanned: %w", id, err))
			continue
		}
		read := contents{document: image.Document, answers: said.Platforms[0].Answers}
		if !said.IsEmpty() {
			read.vex = func() ([]byte, error) { return said.OpenVEX(1) }
		}
		s.images = append(s.images, scanned{
			scan.Image{Name: id.String(), Root: strings.TrimSuffix(id.String(), "/default"), File: "apps/" + id.App + "/default.nix"},
			func(context.Context) (contents, error) { return read, nil },
		})
	}
	return nil
}

// describeEach lists what each image is made of, or why it could not be built.
func (s *scanner) describeEach(ctx context.Context, ws *workspace, evaluation *nix.Evaluation) ([]build.Described, error) {
	progress := s.Progress()
	defer progress.Close()
	builder, err := s.describer(ctx, ws, s.options.images.output, progress)
	if err != nil {
		return nil, err
	}
	defer builder.Files.Close()
	return builder.DescribeEach(ctx, evaluation, version)
}

func (s *scanner) addFailures(evaluation *nix.Evaluation) {
	for _, app := range slices.Sorted(maps.Keys(evaluation.Failures)) {
		s.failed = append(s.failed, fmt.Errorf("%s: %w", app, build.NotEvaluated(evaluation.Failures[app])))
		s.unbuilt++
	}
}

// read reads the images, some of them at once, and passes them on in order.
func (s *scanner) read(ctx context.Context, take func(scanned, contents)) {
	for some := range slices.Chunk(s.images, 64) { // SBOMs in memory
		results, errs := make([]contents, len(some)), make([]error, len(some))
		state.InParallel(state.Readers, some, func(n int, image scanned) { results[n], errs[n] = image.read(ctx) })
		for n, image := range some {
			if errs[n] != nil {
				s.failed = append(s.failed, errs[n])
				continue
			}
			take(image, results[n])
		}
	}
}
