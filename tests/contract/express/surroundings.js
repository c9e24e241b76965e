// What the guide's receiver leaves to whoever uses it, loaded before it so that its own text stays as it is: JSON bodies
// are parsed, the business logic is a stub that tells of each customer on stdout, and the port is a free one.
const http = require('http')
const express = require('express')
const bodyParser = require('body-parser')

const put = express.application.put
express.application.put = function (...route) {
  this.use(bodyParser.json())
  return put.apply(this, route)
}

const listen = http.Server.prototype.listen
http.Server.prototype.listen = function (_port, ready) {
  return listen.call(this, 0, '127.0.0.1', () => {
    console.log(JSON.stringify({ port: this.address().port }))
    ready()
  })
}

const failures = {
  Invalid: Object.assign(new Error('The customer is invalid'), {
    code: 'VALIDATION_ERROR',
    validationErrors: [{ field: 'lastName', message: 'must be a name' }]
  }),
  Broken: new Error('The database is away')
}

global.lib = {
  async processCustomerUpsert (customerId, customer) {
    console.log(JSON.stringify({ customerId, customer }))
    if (failures[customer.lastName]) throw failures[customer.lastName]
  }
}
