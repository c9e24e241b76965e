// Starts Swagger UI on the document that the page names. The page allows no inline script, so this is a file.
const page = document.getElementById("docs")

// Whoever pastes a bare key into the dialog means the guide's scheme.
function withScheme(request) {
  const given = request.headers.Authorization
  if (given && !given.includes(" ")) {
    request.headers.Authorization = `API_KEY ${given}`
  }
  return request
}

SwaggerUIBundle({
  domNode: page,
  url: page.dataset.document,
  deepLinking: true,
  displayRequestDuration: true,
  docExpansion: "none",
  filter: true,
  requestInterceptor: withScheme,
  showCommonExtensions: true,
  // Null keeps Swagger UI from asking a validator on another host.
  validatorUrl: null,
})
