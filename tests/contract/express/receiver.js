const express = require('express')
const bodyParser = require('body-parser')

const app = express()

/**
 * Middleware to check req.headers['Authrorization'] for `API_KEY <key>`
 * or use a cloud-based service such as AWS API Gateway for your inbound traffic
 * to authenticate.
 */

app.put('/v1/retailos/customer/:id', (req, res, next) => {
  const customerId = req.params.id
  const { customer } = req.body

  // Your business logic here
  lib.processCustomerUpsert(customerId, customer)
    .then(() => {
      // Send a 2xx response for success
      res.status(200).json({ customerId })
    })
    .catch(error => {
      // Send a 4xx or 5xx response for failures with the error in
      // the body so RetailOS can store the errors eg validation errors
      if (error.code === 'VALIDATION_ERROR') {
        res.status(400).send({
          error: {
            code: 'VALIDATION_ERROR',
            message: error.message,
            details: error.validationErrors
          }
        })
      } else {
        // Not a known error, so forward it to the
        // error handler
        next(error)
      }
    })
})

app.listen(8080, (err) => {
  if (err) { throw err }

  console.log('Express server is listening on port 8080')
})
