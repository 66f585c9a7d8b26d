package files

import (
	"context"
	"io"

	"github.com/libresh/libre/internal/inspect"
	"github.com/libresh/libre/internal/sbom"
)

// Serve answers questions about files until the input ends.
func Serve(ctx context.Context, in io.Reader, out io.Writer) error {
	go func() { _, _ = licenseScanner() }() // takes almost a second: start with the first question
	return inspect.Serve(in, out, func(question sbom.Question, end func(error)) (sbom.Answer, error) {
		return answerTo(ctx, question, end)
	})
}

// answerTo answers a question. At a limit it calls end, because syft cannot be interrupted.
func answerTo(ctx context.Context, question sbom.Question, end func(error)) (answer sbom.Answer, err error) {
	if len(question.StorePaths) > 0 {
		answer.Documents, err = fromStorePaths(ctx, question.StorePaths, question.Limits, end)
		return answer, err
	}
	if question.Layout == "" && question.Modules == "" {
		return sbom.Answer{Document: &sbom.Document{Tools: tools()}}, nil
	}
	w, err := newWatch(question.Limits, end)
	if err != nil {
		return answer, err
	}
	defer w.end()
	switch {
	case question.Modules != "":
		answer.Licenses, err = moduleLicenses(ctx, question.Modules)
	case question.Texts:
		answer.Texts, err = licenseTexts(ctx, question.Layout, question.Subject, w)
	default:
		answer.Document, err = fromLayout(ctx, question.Layout, question.Subject, w)
	}
	return answer, err
}
