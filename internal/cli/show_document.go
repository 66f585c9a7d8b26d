package cli

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"sigs.k8s.io/yaml"

	"github.com/libresh/libre/internal/catalog"
	"github.com/libresh/libre/internal/describe"
)

// checkDocumentFormat checks the value of show's -o.
func checkDocumentFormat(format string) error {
	switch format {
	case "", "yaml", "json":
		return nil
	}
	return usageError{fmt.Errorf("-o %q, expected yaml or json", format)}
}

// showDocuments prints the application documents of the selected apps and variants.
func (e *env) showDocuments(ctx context.Context, ws *workspace, patterns []catalog.Pattern, format string) error {
	reader, err := e.layoutReader(ctx, ws, "")
	if err != nil {
		return err
	}
	documents, evaluation, err := reader.Documents(ctx, patterns)
	if err != nil {
		return err
	}
	if err := e.printDocuments(documents, format); err != nil {
		return err
	}
	return e.reportWrong(evaluation.Failures, nil)
}

// printDocuments prints documents as a YAML stream, or as JSON, one after the other.
func (e *env) printDocuments(documents []*describe.Application, format string) error {
	var texts []string
	for _, document := range documents {
		if format == "json" {
			if err := e.JSON(document); err != nil {
				return err
			}
			continue
		}
		text, err := json.Marshal(document)
		if err != nil {
			return err
		}
		if text, err = yaml.JSONToYAML(text); err != nil {
			return err
		}
		texts = append(texts, string(text))
	}
	return e.Printf("%s", strings.Join(texts, "---\n"))
}
