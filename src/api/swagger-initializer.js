// The validator is a service elsewhere; the document is nobody's business but the reader's.
window.onload = () => {
  window.ui = SwaggerUIBundle({
    "dom_id": "#swagger-ui",
    "url": "/v3/api-docs",
    "validatorUrl": "none",
    "deepLinking": true,
    "layout": "StandaloneLayout",
    "presets": [SwaggerUIBundle.presets.apis, SwaggerUIStandalonePreset],
    "plugins": [SwaggerUIBundle.plugins.DownloadUrl],
  });
};
